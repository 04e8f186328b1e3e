"""Compiles a transformer as several plans, one for each group of its blocks, each a step of the build log.

The bundle's graph stays whole. The graph of a group exists only while it is compiled or compared, beside the weights
that all of them share.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from engine.bundle.graph_spec import EnginePart, EngineSpec, GraphSpec
from export.atomic_file import PARTIAL_SUFFIX
from export.bundle.compiling import compile_file, compile_inputs
from export.bundle.component import PreparedComponent
from export.bundle.component_graphs import GraphWriter, TracedGroup
from export.bundle.run import ExportRun
from export.tensorrt import Target
from export.tracing.assemble import GraphDescription
from export.tracing.block_groups import split
from export.tracing.verify import NotRunnable, verify_chain
from export.weights.parameters import load_weights

Tensors = Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class GroupedGraph:
    """A transformer's graph, written whole, that is compiled as ``prepared.block_group_count`` plans."""

    writer: GraphWriter
    traced: TracedGroup
    spec: GraphSpec

    @property
    def prepared(self) -> PreparedComponent:
        """The transformer."""
        return self.writer.prepared

    @property
    def count(self) -> int:
        """The number of groups."""
        return self.prepared.block_group_count

    @contextmanager
    def written(self, out: Path, numbers: Sequence[int]) -> Iterator[list[tuple[Path, GraphDescription]]]:
        """Writes the graphs of the groups of these numbers, from 1, and removes them at the end."""
        (whole,) = self.traced.group.trace(self.prepared.model)
        modules = split(whole, self.count)
        stem = self.spec.file.removesuffix(".onnx")
        files = {number: out / f"{stem}.part{number}of{self.count}{PARTIAL_SUFFIX}" for number in numbers}
        name, size = self.spec.stage, self.traced.group.size
        try:
            yield [(file, self.writer.write(name, size, modules[number - 1], file)) for number, file in files.items()]
        finally:
            for file in files.values():
                file.unlink(missing_ok=True)


def compile_groups(run: ExportRun, graph: GroupedGraph) -> GraphSpec:
    """The graph's entry with the plans of its groups for every target. Raises ``ExportError``."""
    _compare(run, graph)
    engines = []
    for capability, target in {item.compute_capability: item for item in run.plan.targets}.items():
        parts = []
        for number in range(1, graph.count + 1):
            name = f"engine of {graph.spec.file}, group {number} of {graph.count}, for {capability}"
            inputs = compile_inputs(run, graph.spec, graph.writer.weights.files)
            parts.append(run.log.step(name, inputs, functools.partial(_compile, run, graph, number, target)))
        engines.append(
            joined_engine([(EngineSpec.from_dict(part["engine"]), part["inputs"], part["outputs"]) for part in parts])
        )
    return graph.spec.with_changes(engines=tuple(engines))


def _compile(run: ExportRun, graph: GroupedGraph, number: int, target: Target) -> tuple[dict[str, Any], list[Path]]:
    out = run.plan.out
    with graph.written(out, [number]) as [(file, described)]:
        engine = compile_file(run, file, [tensor.name for tensor in described.inputs], target)
    tensors = {"inputs": described.inputs, "outputs": described.outputs}
    return {
        "engine": engine.as_dict(),
        **{key: [tensor.as_dict() for tensor in value] for key, value in tensors.items()},
    }, [out / engine.file]


def joined_engine(parts: Sequence[tuple[EngineSpec, Tensors, Tensors]]) -> EngineSpec:
    """One entry for all parts, each with its inputs and outputs in the manifest's JSON form.

    Weights, files and seconds are sums; scratch and host memory are the largest, because parts run one after another.
    """
    engines = [engine for engine, _, _ in parts]
    entries = [
        EnginePart.from_dict(
            {
                "file": engine.file,
                "inputs": inputs,
                "outputs": outputs,
                "activation_bytes": engine.activation_bytes,
                "weight_bytes": engine.weight_bytes,
                "plan_bytes": engine.plan_bytes,
            }
        )
        for engine, inputs, outputs in parts
    ]
    return engines[0].with_changes(
        activation_bytes=max(engine.activation_bytes for engine in engines),
        weight_bytes=sum(engine.weight_bytes for engine in engines),
        plan_bytes=sum(engine.plan_bytes for engine in engines),
        build_seconds=sum(engine.build_seconds for engine in engines),
        host_peak_bytes=max(engine.host_peak_bytes for engine in engines),
        parts=tuple(entries),
    )


def _compare(run: ExportRun, graph: GroupedGraph) -> None:
    """Compares the groups, one after another, with torch, where the whole graph was. Raises ``ExportError``."""
    if run.plan.verify == "never" or (run.plan.verify == "auto" and not graph.traced.is_small):
        return
    prepared = graph.prepared

    def work() -> tuple[dict[str, Any], Iterable[Path]]:
        model = prepared.component.build(torch.float32)
        load_weights(model, prepared.weights.source, torch.float32)
        (whole,) = graph.traced.group.trace(model)
        with graph.written(run.plan.out, range(1, graph.count + 1)) as written:
            try:
                error = verify_chain([file for file, _ in written], whole, prepared.precision)
            except NotRunnable as fault:
                return {"line": f"{graph.spec.file}, its groups: {fault}"}, ()
        return {"line": f"{graph.spec.file}, its {graph.count} groups: differ from torch by {error:.1e}"}, ()

    inputs = {**compile_inputs(run, graph.spec, graph.writer.weights.files), "count": graph.count}
    run.report(run.log.step(f"comparison of the groups of {graph.spec.file}", inputs, work)["line"])
