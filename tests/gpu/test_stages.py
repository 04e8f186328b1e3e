"""Every stage on the GPU against ONNX Runtime on the CPU, from the same inputs."""

from __future__ import annotations

import statistics
import time
from pathlib import Path

import numpy as np

from benchmarks.device.graph_calls import drawn_inputs, timed_call
from engine.bundle.folder import parse_manifest
from engine.generate.prompt_encoder import join_prompts
from engine.runtime.base import Runtime
from engine.runtime.ort import OrtRuntime
from export.tracing.verify import TOLERANCE
from tests.gpu.report import Report
from tests.gpu.roads import Road

_CALL_COUNT = 20


def test_every_stage_computes_what_the_host_computes(
    bundle: Path, bundle_name: str, road: Road, runtime: Runtime, report: Report
) -> None:
    host = OrtRuntime(thread_count=0)
    different = []
    for spec in parse_manifest(bundle).graphs:
        inputs = drawn_inputs(spec, runtime.call_shapes)
        expected, _ = timed_call(host, host.load(bundle, spec), inputs)
        started = time.perf_counter()
        graph = runtime.load(bundle, spec)
        loaded = time.perf_counter()
        actual, first_seconds = timed_call(runtime, graph, inputs)
        seconds = [timed_call(runtime, graph, inputs)[1] for _ in range(_CALL_COUNT)]
        value = max(float(np.abs(item).max()) for item in expected.values())
        error = max(float(np.abs(actual[name].astype(np.float64) - item).max()) for name, item in expected.items())
        report.add(
            "stages",
            f"{road}/{bundle_name}/{spec.file}",
            max_abs_error=error,
            max_abs_value=value,
            load_seconds=loaded - started,
            first_call_seconds=first_seconds,
            call_seconds=statistics.median(seconds),
        )
        if not error <= TOLERANCE * max(value, 1.0):
            different.append(f"{spec.file}: {error:.3g} at values up to {value:.3g}")
    assert not different


def test_masked_rows_of_a_prompt_change_nothing(bundle: Path, runtime: Runtime) -> None:
    """An open axis of a plan: the same prompt in 71 rows, and in 201 of which all others are masked."""
    manifest = parse_manifest(bundle)
    spec = next(graph for graph in manifest.graphs if graph.stage.startswith("transformer"))
    graph = runtime.load(bundle, spec)
    drawn = drawn_inputs(spec, runtime.call_shapes)
    width = drawn["prompt_embeds"].shape[2]
    generator = np.random.default_rng(1)
    short, long = (generator.standard_normal((1, count, width), dtype=np.float32) for count in (70, 200))
    predictions = []
    for prompts in ([short], [short, long]):
        embeds, bias = join_prompts(prompts, manifest.tokenizer.length)
        inputs = {**drawn, "prompt_embeds": embeds[:1], "prompt_bias": bias[:1]}
        (prediction,) = timed_call(runtime, graph, inputs)[0].values()
        predictions.append(prediction.astype(np.float64))
    bare, masked = predictions
    assert bare.shape[0] == 1
    assert np.abs(bare - masked).max() <= TOLERANCE * max(float(np.abs(bare).max()), 1.0)
