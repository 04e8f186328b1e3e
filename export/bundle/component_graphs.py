"""The graphs of one component: step 3 traces and writes them, step 4 compares them with torch."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from engine.bundle.graph_spec import GraphName, GraphSpec, Precision
from export.bundle.component import PreparedComponent
from export.bundle.component_weights import ComponentWeights
from export.bundle.graph_list import GraphGroup, GraphSize
from export.bundle.manifest_entries import graph_spec
from export.bundle.run import ExportRun
from export.quantise.rewrite import quantise_graph
from export.quantise.rewrite_attention import quantise_attention
from export.tracing.assemble import GraphDescription, build_graph, save_graph
from export.tracing.module_graph import TracedModule
from export.tracing.trace import Trace
from export.tracing.verify import NotRunnable, is_small, verify_against_torch
from export.weights.parameters import ParameterIndex, load_weights

# Traces by structure and geometry, then by pattern. Both experts have one structure and share their traces.
Traces = dict[tuple[str, str], dict[str, Trace]]


@dataclass(frozen=True)
class TracedGroup:
    """Graphs that are written and not compared yet. ``is_small``: torch can run them on this machine."""

    group: GraphGroup
    graphs: tuple[GraphSpec, ...]
    is_small: bool


@dataclass(frozen=True)
class GraphWriter:
    """Writes graphs of a component; ``traces`` are reused and added to."""

    prepared: PreparedComponent
    weights: ComponentWeights
    traces: Traces

    @functools.cached_property
    def _parameters(self) -> ParameterIndex:
        return ParameterIndex(self.prepared.model, self.weights.stored)

    def write(self, name: GraphName, size: GraphSize, module: TracedModule, file: Path) -> GraphDescription:
        """Writes the graph of a module of the component, or of a part of it, into the bundle's folder."""
        known = self.traces.setdefault((_structure(self.prepared, name), str(size)), {})
        graph = build_graph(module, self._parameters, file.parent, known)
        if self.prepared.attention:
            quantise_attention(graph, self.prepared.attention)
        if self.weights.quantised:
            quantise_graph(graph, self.weights.quantised, file.parent)
        return save_graph(graph, file)


def trace_graphs(run: ExportRun, writer: GraphWriter) -> tuple[TracedGroup, ...]:
    """Step 3: traces every graph of the component and writes it, with quantised linears where weights are quantised."""
    prepared, weights, out = writer.prepared, writer.weights, run.plan.out
    # Weights in place are identified by size and time of change, in ``identity``, without reading them.
    is_in_place = prepared.weights.encodings is None
    digest = None if is_in_place else run.log.file(weights.files[0].relative_to(out).as_posix()).sha256
    traced = []
    for group in prepared.component.groups:
        file_names = group.file_names(prepared.suffix)
        inputs = {
            **prepared.identity,
            "size": str(group.size),
            "weights": digest,
            "attention": {name: asdict(ranges) for name, ranges in prepared.attention.items()},
        }
        work = functools.partial(_trace_group, writer, group, out)
        answer = run.log.step(" ".join(file_names), inputs, work)
        graphs = tuple(GraphSpec.from_dict(graph) for graph in answer["graphs"])
        run.report(f"{', '.join(file_names)}: traced")
        traced.append(TracedGroup(group, graphs, answer["is_small"]))
    return tuple(traced)


def verify_graphs(run: ExportRun, prepared: PreparedComponent, traced: Sequence[TracedGroup]) -> list[GraphSpec]:
    """Step 4: compares graphs with torch and returns their manifest entries. Raises ``ExportError`` where they differ.

    Weights are loaded into memory only here, at most once, and only if a graph is compared.
    """

    @functools.cache
    def loaded() -> Any:
        model = prepared.component.build(torch.float32)
        load_weights(model, prepared.weights.source, torch.float32)
        return model

    def compare(item: TracedGroup) -> tuple[dict[str, Any], Iterable[Path]]:
        modules = item.group.trace(loaded())
        found = [
            _compare(run, graph, module, prepared.precision) for graph, module in zip(item.graphs, modules, strict=True)
        ]
        return {"graphs": [graph.as_dict() for graph in found]}, ()

    graphs: list[GraphSpec] = []
    for item in traced:
        if run.plan.verify == "never" or (run.plan.verify == "auto" and not item.is_small):
            graphs += item.graphs
            continue
        names = [graph.file for graph in item.graphs]
        inputs = {**prepared.identity, "graphs": [run.log.file(name).sha256 for name in names]}
        answer = run.log.step(f"comparison of {' '.join(names)}", inputs, functools.partial(compare, item))
        graphs += [GraphSpec.from_dict(graph) for graph in answer["graphs"]]
    for graph in graphs:
        run.report(_summary(graph))
    return graphs


def _trace_group(writer: GraphWriter, group: GraphGroup, out: Path) -> tuple[dict[str, Any], list[Path]]:
    prepared = writer.prepared
    files = [out / name for name in group.file_names(prepared.suffix)]
    modules = group.trace(prepared.model)
    specs = [
        graph_spec(name, group.size, file, prepared.precision, writer.write(name, group.size, module, file))
        for name, file, module in zip(group.names, files, modules, strict=True)
    ]
    answer = {"graphs": [spec.as_dict() for spec in specs], "is_small": all(map(is_small, modules))}
    return answer, files


def _structure(prepared: PreparedComponent, name: GraphName) -> str:
    """The key of a trace beside the geometry: configuration and precision of a transformer, else the graph's name."""
    if prepared.component.kind != "transformer":
        return name
    config = {key: value for key, value in prepared.model.config.items() if not key.startswith("_")}
    return json.dumps([prepared.precision, config], sort_keys=True, default=str)


def _compare(run: ExportRun, graph: GraphSpec, module: TracedModule, precision: Precision) -> GraphSpec:
    try:
        verified = verify_against_torch(run.plan.out / graph.file, module, precision)
    except NotRunnable as error:
        run.report(f"{graph.file}: {error}")
        return graph
    measured = {"max_abs_error": verified.max_abs_error, "max_abs_value": verified.max_abs_value}
    return graph.with_changes(**measured)


def _summary(graph: GraphSpec) -> str:
    if graph.max_abs_error is None:
        return f"{graph.file}: written, not compared with torch"
    return f"{graph.file}: differs from torch by {graph.max_abs_error:.1e}"
