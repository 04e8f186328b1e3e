"""Tells from the manifest whether ONNX Runtime can run a bundle's graphs, before a file is read or loaded."""

from __future__ import annotations

from collections.abc import Mapping

from engine.api.capabilities import Geometry
from engine.bundle.graph_spec import GraphName, GraphSpec, Precision
from engine.bundle.manifest import Manifest
from engine.memory.measure import graph_for, graph_names_of
from engine.runtime.base import GraphNotLoaded

# Graphs that the exporter makes compute in bfloat16 (export/quantise/recipes.py). ONNX Runtime has no kernels for it on
# a CPU: loading ends with "NOT_IMPLEMENTED : Could not find an implementation for Mul(14)".
_IN_BFLOAT16: Mapping[GraphName, frozenset[Precision]] = {
    "text_encoder": frozenset(("bf16", "int8", "fp8", "int4")),
    "transformer": frozenset(("bf16",)),
    "transformer_high": frozenset(("bf16",)),
    "transformer_low": frozenset(("bf16",)),
}


def check_onnx_graphs(manifest: Manifest, *, is_on_cpu: bool) -> None:
    """Raises ``GraphNotLoaded``, naming the graph, what it lacks and the remedy."""
    for size in manifest.geometries:
        geometry = Geometry(size.width_px, size.height_px, size.frame_count)
        for name in graph_names_of(manifest):
            graph = graph_for(manifest, name, geometry, None)
            if not manifest.holds_graph(graph):
                raise GraphNotLoaded(
                    f"the bundle holds TensorRT engines for {_compiled_for(manifest)} alone, without the graphs that "
                    "ONNX Runtime runs; serve it on such a GPU, or export the checkpoint without --plans-only"
                )
            if is_on_cpu and can_only_run_on_a_gpu(graph):
                raise GraphNotLoaded(
                    f"{graph.file} ({graph.precision}) computes in bfloat16, for which ONNX Runtime has no kernels "
                    "on a CPU; serve the bundle on a GPU that it was compiled for, or export the checkpoint with "
                    "--precision fp16 or fp32"
                )


def can_only_run_on_a_gpu(graph: GraphSpec) -> bool:
    """True for a graph of which ONNX Runtime lacks kernels on a CPU."""
    return graph.precision in _IN_BFLOAT16.get(graph.stage, ())


def _compiled_for(manifest: Manifest) -> str:
    return ", ".join(sorted({engine.compute_capability for graph in manifest.graphs for engine in graph.engines}))
