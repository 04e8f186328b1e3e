"""Exports one part of a true-size case and measures each step: weights, graph, plan.

The steps are those of ``export.bundle.component``, with random weights in place of a checkpoint's.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import onnx_ir as ir
from torch import nn

from benchmarks.full_size_cases import Case
from benchmarks.true_size import DrawnWeights, write_configurations
from engine.api.capabilities import Geometry
from engine.bundle.graph_spec import GraphSpec
from export.bundle.component_weights import WEIGHTS_FOLDER, ComponentWeights, PlannedWeights
from export.bundle.graph_list import (
    Component,
    latent_shape,
    latent_spec,
    text_encoder_component,
    transformer_components,
    vae_component,
)
from export.bundle.manifest_entries import graph_spec
from export.quantise.attention import AttentionRanges
from export.quantise.calibration import Calibration
from export.quantise.encodings import PassThrough
from export.quantise.recipes import Recipe, recipe_for
from export.quantise.rewrite import quantise_graph
from export.quantise.rewrite_attention import quantise_attention
from export.tensorrt import AxisRange, compile_engines, find_target, graph_axes
from export.tracing.assemble import build_graph, describe, save_graph
from export.tracing.block_groups import split
from export.tracing.guidance import write_guide_and_step
from export.tracing.module_graph import TracedModule
from export.weights.checkpoint import Checkpoint
from export.weights.files.safetensors_file import StoredWeight
from export.weights.layouts.opening import open_checkpoint
from export.weights.parameters import ParameterIndex, stored_parameters
from export.weights.shards import Shards

# Stands for the largest input of a linear layer that calibration would find. The plan's size does not depend on it.
_INPUT_RANGE = 4.0
_SOLVER_ORDER = 2
Say = Callable[[str], None]


class PartWeights(ParameterIndex):
    """The same where only the weights of one part are stored."""

    def __init__(self, component: nn.Module, stored: Mapping[str, StoredWeight]) -> None:
        self._component = component
        self._by_identity = {
            id(tensor): (name, stored[name]) for name, tensor in component.named_parameters() if name in stored
        }


def export_part(
    case: Case, depth: int, part: int, folder: Path, say: Say, *, kept_weights: Path | None = None
) -> dict[str, Any]:
    """Writes weights and graphs of a part of ``depth`` blocks into a folder and compiles them.

    ``kept_weights`` is a folder on the same disk in which quantised weights stay, for other sizes.
    Returns seconds and bytes of each step by name, and the manifest entries as ``graphs``.
    """
    checkpoint = open_checkpoint(write_configurations(folder / "checkpoint", case.model, depth))
    geometry = Geometry(case.width_px, case.height_px, case.frame_count)
    if case.component == "guide_and_step":
        return _solver(case, checkpoint, geometry, folder, say)
    component = _component(case, checkpoint, geometry)
    recipe = recipe_for(component.kind, case.precision)  # type: ignore[arg-type]
    model = component.build(recipe.dtype)
    started = time.perf_counter()
    traced = [(group, module) for group in component.groups for module in group.trace(model)]
    modules = [_part_of(module, case, part) for _, module in traced]
    traced_at = time.perf_counter()
    kept = None if kept_weights is None else kept_weights / _weights_name(case, depth, part)
    file = folder / WEIGHTS_FOLDER / f"{component.name}.safetensors"
    stored = _write_weights(model, _parameters_of(modules), recipe, file, kept, say)
    written_at = time.perf_counter()
    weights = ParameterIndex(model, stored.stored) if case.part_count == 1 else PartWeights(model, stored.stored)
    graphs = []
    names = [(name, group.size) for group in component.groups for name in group.names]
    for (name, size), module in zip(names, modules, strict=True):
        file = folder / f"{name}_{case.attention}_part_{part + 1}.onnx"
        graph = build_graph(module, weights, folder)
        if case.attention == "fp8":
            quantise_attention(graph, _drawn_ranges(depth))
        if stored.quantised:
            quantise_graph(graph, stored.quantised, folder)
        graphs.append(graph_spec(name, size, file, case.precision, save_graph(graph, file)))  # type: ignore[arg-type]
    built_at = time.perf_counter()
    return {
        "weights_seconds": written_at - traced_at,
        "graph_seconds": built_at - written_at + traced_at - started,
        "graph_bytes": sum((folder / graph.file).stat().st_size for graph in graphs),
        "graphs": [_compiled(graph, case, folder, say) for graph in graphs],
    }


def _drawn_ranges(depth: int) -> dict[str, AttentionRanges]:
    ranges = AttentionRanges(_INPUT_RANGE, _INPUT_RANGE, _INPUT_RANGE)
    return {f"blocks.{index}.attn1": ranges for index in range(depth)}


def _component(case: Case, checkpoint: Checkpoint, geometry: Geometry) -> Component:
    if case.component == "text_encoder":
        return text_encoder_component(checkpoint)
    if case.component == "vae":
        return vae_component(checkpoint, (geometry,))
    return transformer_components(checkpoint, (geometry,), latent_spec(checkpoint.vae()))[0]


def _part_of(module: TracedModule, case: Case, part: int) -> TracedModule:
    return split(module, case.part_count)[part] if case.part_count > 1 else module


def _parameters_of(modules: Iterable[TracedModule]) -> set[int]:
    return {id(tensor) for module in modules for tensor in (*module.module.parameters(), *module.module.buffers())}


def _weights_name(case: Case, depth: int, part: int) -> str:
    """The inputs on which drawn and quantised weights depend."""
    return f"{case.model}_{case.component}_{case.precision}_{depth}_layers_{part + 1}_of_{case.part_count}.safetensors"


def _write_weights(  # noqa: PLR0917
    model: Any, wanted: set[int], recipe: Recipe, file: Path, kept: Path | None, say: Say
) -> ComponentWeights:
    """Draws, quantises and writes the parameters that are wanted, one at a time, unless ``kept`` has them."""
    source = DrawnWeights(model)
    linears = [name.removesuffix(".weight") for name in source.names()]
    calibration = Calibration("drawn", 1, dict.fromkeys(linears, _INPUT_RANGE))
    chosen = recipe.encodings(source, calibration)
    parameters = stored_parameters(model, source.names())
    encodings = {
        name: PassThrough(tensor.dtype) if isinstance(chosen[name], PassThrough) else chosen[name]
        for name, tensor in parameters.items()
        if id(tensor) in wanted
    }
    planned = PlannedWeights(source, Shards("drawn weights", {}), encodings, file)
    if kept is not None and kept.is_file():
        file.parent.mkdir(parents=True, exist_ok=True)
        file.hardlink_to(kept)
        return planned.open()
    planned.write(say)
    if kept is not None:
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.hardlink_to(file)
    return planned.open()


def _compiled(graph: GraphSpec, case: Case, folder: Path, say: Say) -> dict[str, Any]:
    axes = graph_axes([tensor.name for tensor in graph.inputs], AxisRange(1, case.batch_count, case.batch_count))
    engines = compile_engines(folder / graph.file, [find_target(case.gpu)], folder / "plans", axes=axes, report=say)
    return graph.with_changes(engines=engines).as_dict()


def _solver(case: Case, checkpoint: Checkpoint, geometry: Geometry, folder: Path, say: Say) -> dict[str, Any]:
    """Exports and compiles the solver's graph, which has no weights."""
    latent = latent_spec(checkpoint.vae())
    shape = (1, latent.channel_count, *latent_shape(geometry, latent))
    file = folder / "guide_and_step.onnx"
    started = time.perf_counter()
    write_guide_and_step(shape, _SOLVER_ORDER, file)
    seconds = time.perf_counter() - started
    graph = graph_spec("guide_and_step", geometry, file, "fp32", describe(ir.load(file)))
    return {
        "weights_seconds": 0.0,
        "graph_seconds": seconds,
        "graph_bytes": file.stat().st_size,
        "graphs": [_compiled(graph, case, folder, say)],
    }
