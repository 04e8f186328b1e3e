"""Every stage on the GPU against ONNX Runtime on the host, from the same inputs."""

from __future__ import annotations

import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np

from engine.bundle.folder import parse_manifest
from engine.bundle.graph_spec import GraphSpec, TensorSpec
from engine.runtime.base import Array, Graph, Runtime
from engine.runtime.ort import OrtRuntime
from engine.runtime.trt import TrtRuntime
from export.tracing.verify import TOLERANCE
from tests.gpu.report import Report

_AXES = {"batch": 2, "rows": 37}
_CALL_COUNT = 20


def test_every_stage_computes_what_the_host_computes(bundle: Path, runtime: TrtRuntime, report: Report) -> None:
    host = OrtRuntime(thread_count=0)
    different = []
    for spec in parse_manifest(bundle).graphs:
        inputs = _inputs(spec)
        expected, _ = _call(host, host.load(bundle, spec), inputs)
        started = time.perf_counter()
        graph = runtime.load(bundle, spec)
        loaded = time.perf_counter()
        actual, first_seconds = _call(runtime, graph, inputs)
        seconds = [_call(runtime, graph, inputs)[1] for _ in range(_CALL_COUNT)]
        value = max(float(np.abs(item).max()) for item in expected.values())
        error = max(float(np.abs(actual[name] - item).max()) for name, item in expected.items())
        report.add(
            "stages",
            f"{bundle.name}/{spec.file}",
            max_abs_error=error,
            max_abs_value=value,
            load_seconds=loaded - started,
            first_call_seconds=first_seconds,
            call_seconds=statistics.median(seconds),
        )
        if not error <= TOLERANCE * max(value, 1.0):
            different.append(f"{spec.file}: {error:.3g} at values up to {value:.3g}")
    assert not different


def test_a_call_with_one_prediction_equals_the_first_of_two(bundle: Path, runtime: TrtRuntime) -> None:
    """Dynamic axes of a plan: batch 1 and another number of text rows on the plan tuned for batch 2."""
    spec = next(graph for graph in parse_manifest(bundle).graphs if graph.stage.startswith("transformer"))
    graph = runtime.load(bundle, spec)
    both = _inputs(spec)
    one = {name: array[:1] if name.startswith("prompt_") else array for name, array in both.items()}
    (together,), (alone,) = (_call(runtime, graph, inputs)[0].values() for inputs in (both, one))
    assert alone.shape == (1, *together.shape[1:])
    assert np.abs(alone - together[:1]).max() <= TOLERANCE * max(float(np.abs(together).max()), 1.0)


def _inputs(spec: GraphSpec) -> dict[str, Array]:
    """Returns valid inputs for any stage: ids within every vocabulary, zero attention biases, schedule timesteps."""
    generator = np.random.default_rng(7)
    inputs: dict[str, Array] = {}
    for item in spec.inputs:
        shape = _shape(item, spec)
        match item.name:
            case "attention_mask":
                inputs[item.name] = (np.arange(shape[-1]) < 17).astype(np.int64)[None]
            case "timestep":
                inputs[item.name] = np.full(shape, 500.0, item.dtype)
            case "prompt_bias":
                inputs[item.name] = np.zeros(shape, item.dtype)
            case _ if item.dtype == "int64":
                inputs[item.name] = generator.integers(3, 40, shape)
            case _:
                inputs[item.name] = generator.standard_normal(shape, dtype=np.float32).clip(-1, 1).astype(item.dtype)
    return inputs


def _shape(item: TensorSpec, spec: GraphSpec) -> tuple[int, ...]:
    columns = len(spec.inputs) - 2 + _AXES["batch"]  # of the solver's matrix
    return tuple(axis if isinstance(axis, int) else {**_AXES, "columns": columns}[axis] for axis in item.shape)


def _call(runtime: Runtime, graph: Graph, inputs: dict[str, Array]) -> tuple[dict[str, Any], float]:
    """Returns the outputs as float64 on the host, and the seconds of the call alone."""
    batch = len(inputs["prompt_bias"]) if "prompt_bias" in inputs else _AXES["batch"]
    bound = {name: runtime.upload(array) for name, array in inputs.items()}
    outputs = {
        item.name: runtime.zeros(tuple(axis if isinstance(axis, int) else batch for axis in item.shape), item.dtype)
        for item in graph.spec.outputs
    }
    started = time.perf_counter()
    graph.run(bound, outputs)
    seconds = time.perf_counter() - started
    return {name: tensor.to_host().astype(np.float64) for name, tensor in outputs.items()}, seconds
