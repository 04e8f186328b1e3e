"""The order of an export: check, then each component in four steps, then the parts without a component.

Every file is written atomically and ``bundle.json`` comes last. A folder without ``bundle.json`` is no bundle, so an
interrupted export is never served; it resumes from the build log when the same command runs again.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from engine.api.capabilities import Geometry
from engine.bundle.folder import MANIFEST_NAME
from engine.bundle.graph_spec import GraphSpec
from engine.bundle.manifest import LatentSpec, Manifest, PreviewSpec
from export.atomic_file import is_disk_full, remove_partial_files, write_text
from export.bundle.build_log import BuildLog, export_context
from export.bundle.check import check
from export.bundle.compiling import ENGINES_FOLDER, compile_graph
from export.bundle.component import PreparedComponent, write_weights
from export.bundle.component_graphs import GraphWriter, Traces, trace_graphs, verify_graphs
from export.bundle.component_weights import WEIGHTS_FOLDER
from export.bundle.graph_list import graph_name, latent_shape
from export.bundle.group_plans import GroupedGraph, compile_groups
from export.bundle.manifest import TOKENIZER_NAME, BundleContents, build_manifest
from export.bundle.manifest_entries import graph_spec, save_tokenizer
from export.bundle.option_checks import check_options
from export.bundle.plan import ExportPlan
from export.bundle.plans_only import keep_plans
from export.bundle.run import ExportRun, WrittenGraphs
from export.bundle.scorer import export_scorer
from export.errors import ExportError
from export.tracing.guidance import verify_guide_and_step, write_guide_and_step
from export.tracing.preview import fit_preview
from export.weights.checkpoint import files_identity
from export.weights.parameters import load_weights


def export_bundle(plan: ExportPlan, report: Callable[[str], None]) -> Manifest:
    """Exports a plan's checkpoint to a bundle; ``report`` receives progress, a line at a time.

    Raises ``ExportError``; no manifest is written then.
    """
    check_options(plan)  # before the folder is touched
    try:
        return _export(ExportRun(plan, BuildLog(plan.out, export_context(plan.verify)), report))
    except OSError as error:
        if not is_disk_full(error):
            raise
        raise ExportError(
            f"--out {plan.out}: the disk is full; free some space and run the same command again to resume"
        ) from error
    finally:
        _remove_partial_files(plan.out)


def _export(run: ExportRun) -> Manifest:
    plan = run.plan
    _open_folder(plan.out)
    checked = check(plan, run.log, run.report)  # constructs the components and plans their weights
    save_tokenizer(checked.tokenizer, plan.out / TOKENIZER_NAME)
    graphs: list[GraphSpec] = []
    weight_files: list[Path] = []
    traces: Traces = {}

    def add(name: str, inputs: Mapping[str, Any], write: Callable[[], WrittenGraphs]) -> None:
        def compiled() -> WrittenGraphs:
            written = write()
            files = written.all_weight_files
            return replace(written, graphs=tuple(compile_graph(run, graph, files) for graph in written.graphs))

        if plan.is_plans_only:
            graphs.extend(keep_plans(run, name, inputs, compiled))
            return
        found = compiled()
        graphs.extend(found.graphs)
        weight_files.extend(found.all_weight_files)

    for component in checked.components:
        name = f"{component.component.name}{component.suffix}"
        sizes = [str(group.size) for group in component.component.groups]
        write = functools.partial(_write_component, run, component, traces)
        add(name, {**component.identity, "sizes": sizes, "groups": component.block_group_count}, write)
    for geometry in plan.geometries:
        inputs = {"order": plan.checkpoint.solver_order, "latent": checked.latent.as_dict()}
        write = functools.partial(_export_guidance, run, geometry, checked.latent)
        add(graph_name("guide_and_step", geometry), inputs, write)
    preview = _fit_preview(run)
    scorer = None
    if plan.scorer is not None and checked.contrasts is not None:
        scorer = export_scorer(run, plan.scorer, checked.contrasts)
        add("scorer", {"scorer": files_identity(plan.scorer)}, lambda: scorer.written)
    contents = BundleContents(
        tuple(graphs), tuple(weight_files), preview, None if scorer is None else scorer.spec, plan.is_plans_only
    )
    manifest = build_manifest(plan, checked, contents, run.log)
    write_text(plan.out / MANIFEST_NAME, manifest.to_json(indent=1) + "\n")
    run.log.close()
    return manifest


def _write_component(run: ExportRun, component: PreparedComponent, traces: Traces) -> WrittenGraphs:
    weights = write_weights(run, component)
    writer = GraphWriter(component, weights, traces)
    traced = trace_graphs(run, writer)
    graphs = verify_graphs(run, component, traced)
    if component.block_group_count > 1:
        sizes = zip(traced, graphs, strict=True)  # a transformer has one graph a size
        graphs = [compile_groups(run, GroupedGraph(writer, item, graph)) for item, graph in sizes]
    is_in_place = component.weights.encodings is None
    return WrittenGraphs(tuple(graphs), *(((), weights.files) if is_in_place else (weights.files, ())))


def _export_guidance(run: ExportRun, geometry: Geometry, latent: LatentSpec) -> WrittenGraphs:
    order = run.plan.checkpoint.solver_order
    shape = (1, latent.channel_count, *latent_shape(geometry, latent))
    file = run.plan.out / f"{graph_name('guide_and_step', geometry)}.onnx"

    def work() -> tuple[dict[str, Any], Iterable[Path]]:
        write_guide_and_step(shape, order, file)
        description = verify_guide_and_step(shape, order, file)
        return graph_spec("guide_and_step", geometry, file, "fp32", description).as_dict(), (file,)

    spec = GraphSpec.from_dict(run.log.step(file.name, {"shape": shape, "order": order}, work))
    run.report(f"{file.name}: differs from numpy by {spec.max_abs_error:.1e}")
    return WrittenGraphs((spec,))


def _fit_preview(run: ExportRun) -> PreviewSpec:
    checkpoint = run.plan.checkpoint

    def work() -> tuple[dict[str, Any], Iterable[Path]]:
        vae = checkpoint.vae()  # with weights, in float32; the component stays without
        load_weights(vae, checkpoint.shards("vae"), torch.float32)
        return fit_preview(vae).as_dict(), ()

    preview = PreviewSpec.from_dict(run.log.step("preview", {"component": checkpoint.identity("vae")}, work))
    run.report(f"preview projection: R² {preview.r_squared:.3f}")
    return preview


def _open_folder(out: Path) -> None:
    """Makes the folder, or takes over an earlier bundle's: without its manifest the earlier bundle no longer counts."""
    out.mkdir(parents=True, exist_ok=True)
    (out / MANIFEST_NAME).unlink(missing_ok=True)
    _remove_partial_files(out)


def _remove_partial_files(out: Path) -> None:
    for folder in (out, out / WEIGHTS_FOLDER, out / ENGINES_FOLDER):
        remove_partial_files(folder)
