"""Calls of any graph of a bundle with inputs that are drawn. Knows the protocol of runtimes; knows no runtime."""

from __future__ import annotations

import time
from collections.abc import Mapping

import numpy as np

from engine.bundle.graph_spec import GraphSpec
from engine.runtime.base import Array, CallShapes, Graph, Runtime

_ROW_COUNT = 37  # of text, where any length will do
_SCORED_COUNT = 2  # pictures or sentences of one call
_TOKEN_COUNT = 17


def drawn_inputs(spec: GraphSpec, shapes: CallShapes) -> dict[str, Array]:
    """Valid inputs for any stage: ids within every vocabulary, zero attention biases, schedule timesteps."""
    generator = np.random.default_rng(7)
    lengths = _lengths(spec, shapes)
    inputs: dict[str, Array] = {}
    for item in spec.inputs:
        shape = tuple(axis if isinstance(axis, int) else lengths[axis] for axis in item.shape)
        match item.name:
            case "attention_mask":
                inputs[item.name] = (np.arange(shape[-1]) < _TOKEN_COUNT).astype(np.int64)[None]
            case "timestep":
                inputs[item.name] = np.full(shape, 500.0, item.dtype)
            case "prompt_bias":
                inputs[item.name] = np.zeros(shape, item.dtype)
            case _ if item.dtype == "int64":
                inputs[item.name] = generator.integers(3, 40, shape)
            case _:
                inputs[item.name] = generator.standard_normal(shape, dtype=np.float32).clip(-1, 1).astype(item.dtype)
    return inputs


def timed_call(runtime: Runtime, graph: Graph, inputs: Mapping[str, Array]) -> tuple[dict[str, Array], float]:
    """The outputs on the host, and the seconds of the call alone. Open axes of outputs are as long as in the inputs."""
    lengths = {
        axis: length
        for item in graph.spec.inputs
        for axis, length in zip(item.shape, inputs[item.name].shape, strict=True)
        if isinstance(axis, str)
    }
    bound = {name: runtime.upload(array) for name, array in inputs.items()}
    outputs = {
        item.name: runtime.zeros(
            tuple(axis if isinstance(axis, int) else lengths[axis] for axis in item.shape), item.dtype
        )
        for item in graph.spec.outputs
    }
    started = time.perf_counter()
    graph.run(bound, outputs)
    seconds = time.perf_counter() - started
    return {name: tensor.to_host() for name, tensor in outputs.items()}, seconds


def _lengths(spec: GraphSpec, shapes: CallShapes) -> Mapping[str, int]:
    """Lengths of open axes: as the runtime prefers them, two predictions for the solver."""
    names = {item.name for item in spec.inputs}
    batch = 2 if "prediction" in names else shapes.prediction_count
    return {
        "batch": batch,
        "columns": len(names) - 2 + batch,  # of the solver's matrix: one for each row of the other inputs
        "rows": shapes.prompt_row_counts[0] if shapes.prompt_row_counts else _ROW_COUNT,
        "pictures": _SCORED_COUNT,
        "sentences": _SCORED_COUNT,
    }
