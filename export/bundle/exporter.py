"""From a checkpoint to a bundle, stage by stage. The order of an export, on one screen.

Graphs and weights are written first, each atomically; ``bundle.json`` comes last. A folder without it is no bundle,
so an export that was interrupted can never be served. What it finished stands in the journal, and is not done again.
"""

from __future__ import annotations

import errno
import hashlib
from collections.abc import Callable, Iterable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch

import export
from engine.api.capabilities import Geometry
from engine.bundle.folder import MANIFEST_NAME
from engine.bundle.graph_spec import GraphSpec
from engine.bundle.manifest import (
    AdapterSpec,
    FileSpec,
    GeometrySpec,
    GuidanceSpec,
    Manifest,
    PreviewSpec,
    ScheduleSpec,
)
from engine.bundle.scorer_spec import ScorerSpec, TokenizerSpec
from engine.generate.schedule import flow_schedule
from export.bundle.build_log import Journal
from export.bundle.compiling import PLANS_FOLDER, Compiling
from export.bundle.component import ComponentExport, Traces, checkpoint_digest
from export.bundle.component_weights import WEIGHTS_FOLDER
from export.bundle.graph_list import component_stages, graph_name, latent_shape, latent_spec
from export.bundle.manifest_entries import graph_spec, save_tokenizer
from export.bundle.plan import ExportPlan, check_plan
from export.bundle.resource_estimate import Needs
from export.bundle.scorer import export_scorer
from export.errors import ExportError
from export.tracing.guidance import write_guide_and_step
from export.tracing.preview import fit_preview
from export.tracing.text_encoder import TOKEN_COUNT
from export.tracing.verify import verify_against
from export.weights.parameters import load_weights

_LIBRARIES = ("torch", "diffusers", "transformers", "onnx", "onnxscript", "onnxruntime")
TOKENIZER_NAME = "tokenizer.json"
_DISK_IS_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class Export:
    """One export. ``report`` is told what happens, a line at a time."""

    def __init__(self, plan: ExportPlan, report: Callable[[str], None]) -> None:
        self._plan = plan
        self._report = report
        self._journal = Journal(plan.out, self._context())
        self._compiling = Compiling(plan, self._journal, report)
        self._traces: Traces = {}
        self._graphs: list[GraphSpec] = []
        self._adapters: list[AdapterSpec] = []
        self._weight_files: dict[Path, None] = {}

    def run(self) -> Manifest:
        """Exports everything. Raises ``ExportError``; the manifest is written only when all is well."""
        check_plan(self._plan)
        try:
            return self._run()
        except OSError as error:
            if error.errno not in _DISK_IS_FULL:
                raise
            raise ExportError(
                f"--out {self._plan.out}: the disk is full; free some, then run the same command again: what is "
                "finished is kept"
            ) from error
        finally:
            _remove_partial_files(self._plan.out)

    def needs(self) -> Needs:
        """What it takes of disk and memory. Raises ``ExportError`` for weights that are missing or damaged."""
        return Needs(tuple(component.need for component in self._components()), len(self._plan.targets))

    def _run(self) -> Manifest:
        plan = self._plan
        plan.out.mkdir(parents=True, exist_ok=True)
        (plan.out / MANIFEST_NAME).unlink(missing_ok=True)
        _remove_partial_files(plan.out)
        tokenizer = plan.checkpoint.tokenizer()
        self.needs().check(plan)
        save_tokenizer(tokenizer, plan.out / TOKENIZER_NAME)
        for graphs, weight_files in map(self._export_component, self._components()):
            self._graphs += [self._compiling.compiled(graph, weight_files) for graph in graphs]
        for geometry in plan.geometries:
            self._add_guidance(geometry)
        preview = self._preview()
        scorer = self._export_scorer()
        manifest = self._manifest(tokenizer, preview, scorer)
        partial = plan.out / f"{MANIFEST_NAME}.partial"
        partial.write_text(manifest.model_dump_json(indent=1) + "\n", encoding="utf-8")
        partial.replace(plan.out / MANIFEST_NAME)
        self._journal.close()
        return manifest

    def _export_component(self, component: ComponentExport) -> tuple[list[GraphSpec], tuple[Path, ...]]:
        graphs = list(component.graphs())
        self._weight_files |= dict.fromkeys(component.weight_files)
        self._adapters += component.adapter_specs
        return graphs, component.weight_files

    def _components(self) -> Iterator[ComponentExport]:
        """One after another: what one holds in memory goes before its graphs are compiled and the next one comes."""
        plan = self._plan
        for stages in component_stages(plan.checkpoint, plan.geometries):
            yield ComponentExport(plan, stages, self._journal, self._report, self._traces)

    def _context(self) -> dict[str, Any]:
        """What every step depends on: libraries, the exporter's own code, and options that change what is written."""
        code = hashlib.sha256()
        root = Path(next(iter(export.__path__)))
        for file in sorted(root.rglob("*.py")):
            code.update(f"{file.relative_to(root)}\0".encode() + file.read_bytes())
        return {"libraries": _versions(), "exporter": code.hexdigest(), "verify": self._plan.verify}

    def _preview(self) -> PreviewSpec:
        checkpoint = self._plan.checkpoint

        def fit() -> tuple[dict[str, Any], Iterable[Path]]:
            vae = checkpoint.vae()
            load_weights(vae, checkpoint.shards("vae"), torch.float32)
            return fit_preview(vae).model_dump(mode="json"), ()

        inputs = {"component": checkpoint.identity("vae")}
        preview = PreviewSpec.model_validate(self._journal.step("preview", inputs, fit))
        self._report(f"preview projection: R² {preview.r_squared:.3f}")
        return preview

    def _add_guidance(self, geometry: Geometry) -> None:
        latent = latent_spec(self._plan.checkpoint.vae())
        order = self._plan.checkpoint.scheduler.get("solver_order", 2)
        shape = (1, latent.channel_count, *latent_shape(geometry, latent))
        file = self._plan.out / f"{graph_name('guide_and_step', geometry)}.onnx"

        def work() -> tuple[dict[str, Any], Iterable[Path]]:
            write_guide_and_step(shape, order, file)
            return _verified_guidance(file, geometry, shape, order).model_dump(mode="json"), (file,)

        step = self._journal.step(file.name, {"shape": shape, "order": order}, work)
        spec = GraphSpec.model_validate(step)
        self._graphs.append(self._compiling.compiled(spec))
        self._report(f"{file.name}: differs from numpy by {spec.max_abs_error:.1e}")

    def _export_scorer(self) -> ScorerSpec | None:
        plan = self._plan
        if plan.scorer is None:
            return None
        scorer = export_scorer(plan.scorer, plan, self._journal, self._report)
        self._graphs += [self._compiling.compiled(graph, scorer.weight_files) for graph in scorer.graphs]
        self._weight_files |= dict.fromkeys(scorer.weight_files)
        return scorer.spec

    def _manifest(self, tokenizer: Any, preview: PreviewSpec, scorer: ScorerSpec | None) -> Manifest:
        plan, checkpoint, defaults = self._plan, self._plan.checkpoint, self._plan.defaults
        return Manifest(
            name=plan.name,
            family=checkpoint.family,
            license=checkpoint.license,
            checkpoint_digest=checkpoint_digest(checkpoint, self._journal),
            exported_with=_versions(),
            geometries=tuple(
                GeometrySpec(width_px=item.width_px, height_px=item.height_px, frame_count=item.frame_count)
                for item in plan.geometries
            ),
            frame_rate=defaults.frame_rate,
            expand_timesteps=checkpoint.expand_timesteps,
            latent=latent_spec(checkpoint.vae()),
            schedule=ScheduleSpec(
                order=checkpoint.scheduler.get("solver_order", 2),
                shift=defaults.shift or float(checkpoint.scheduler.get("flow_shift", 1.0)),
                step_count=defaults.step_count,
                train_step_count=int(checkpoint.scheduler["num_train_timesteps"]),
                boundary_timestep=checkpoint.boundary_timestep,
            ),
            guidance=GuidanceSpec(
                scale=defaults.guidance_scale,
                low_noise_scale=defaults.guidance_scale_low_noise,
                negative_prompt=defaults.negative_prompt,
            ),
            tokenizer=TokenizerSpec(
                file=TOKENIZER_NAME,
                length=TOKEN_COUNT,
                pad_id=tokenizer.pad_token_id,
                pad_side="right",
                lower_case=False,
            ),
            preview=preview,
            scorer=scorer,
            graphs=tuple(self._graphs),
            files=dict(self._files(scorer)),
            adapters=tuple(self._adapters),
            distilled=plan.distilled,
            notices=plan.notices,
        )

    def _files(self, scorer: ScorerSpec | None) -> Iterator[tuple[str, FileSpec]]:
        """What this export wrote or points at; anything else in the folder is no part of the bundle."""
        names = {graph.file for graph in self._graphs} | {TOKENIZER_NAME}
        names |= {engine.file for graph in self._graphs for engine in graph.engines}
        names |= {file.relative_to(self._plan.out).as_posix() for file in self._weight_files}
        if scorer is not None:
            names |= {scorer.tokenizer.file, scorer.contrast_file}
        for name in sorted(names):
            yield name, self._journal.file(name)


def _verified_guidance(file: Path, geometry: Geometry, shape: tuple[int, ...], order: int) -> GraphSpec:
    generator = np.random.default_rng(0)
    names = ["latents", "last_sample", *(f"x0_{back}" for back in range(1, order + 1))]
    inputs = {name: generator.standard_normal(shape, dtype=np.float32) for name in names}
    inputs["prediction"] = generator.standard_normal((2, *shape[1:]), dtype=np.float32)
    matrix = flow_schedule(8, 5.0, order).step_matrix(4, guidance_scale=3.5)
    rows = np.concatenate([item.reshape(len(item), -1) for item in inputs.values()])
    results = (matrix @ rows).reshape(3, *shape)
    expected = dict(zip(("next_latents", "sample", "x0"), results, strict=True))
    verified = verify_against(file, {**inputs, "matrix": matrix}, expected)
    return graph_spec("guide_and_step", geometry, file, "fp32", verified)


def _versions() -> dict[str, str]:
    return {library: version(library) for library in _LIBRARIES}


def _remove_partial_files(out: Path) -> None:
    """What an export that was killed, or failed, was writing."""
    for folder in (out, out / WEIGHTS_FOLDER, out / PLANS_FOLDER):
        for file in folder.glob("*.partial"):
            file.unlink(missing_ok=True)
