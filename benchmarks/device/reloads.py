"""Unloads and prefetches of a graph: seconds, memory that stays, and whether the results stay the same."""

from __future__ import annotations

import statistics
import time
from pathlib import Path

import numpy as np

from benchmarks.device.attempts import Attempts
from benchmarks.device.device_runtime import POCKET, device_runtime
from benchmarks.device.graph_calls import drawn_inputs, timed_call
from benchmarks.device.steps import Setting
from engine.bundle.folder import parse_manifest

_GRAPH = "transformer_high"
_SLACK_BYTES = 64 << 20  # the driver's granularity and modules; on a CPU what the allocator keeps


def measure_reloads(setting: Setting, attempts: Attempts, count: int, cache_folder: Path) -> None:
    """Reloads pocket's transformer so many times. Raises ``ArithmeticError`` or ``MemoryError``."""
    runtime = device_runtime(setting, cache_folder)
    spec = next(graph for graph in parse_manifest(POCKET).graphs if graph.stage == _GRAPH)
    graph = runtime.load(POCKET, spec)
    inputs = drawn_inputs(spec, runtime.call_shapes)
    expected, _ = timed_call(runtime, graph, inputs)
    calls, unloads, reloads = [], [], []
    before = runtime.memory_bytes()
    for _ in range(count):
        started = time.perf_counter()
        graph.unload()
        unloads.append(time.perf_counter() - started)
        started = time.perf_counter()
        graph.prefetch()
        outputs, _ = timed_call(runtime, graph, inputs)  # waits for the weights
        reloads.append(time.perf_counter() - started)
        calls.append(timed_call(runtime, graph, inputs)[1])
        if not all(np.array_equal(outputs[name], array) for name, array in expected.items()):
            raise ArithmeticError("a graph that was loaded again gave another result")
    growth = runtime.memory_bytes() - before
    attempts.figure("reload_count", count)
    attempts.figure("unload_seconds", statistics.median(unloads))
    attempts.figure("reload_and_call_seconds", statistics.median(reloads))
    attempts.figure("call_seconds", statistics.median(calls))
    attempts.figure("memory_growth_bytes", max(growth, 1))
    if growth > _SLACK_BYTES:
        raise MemoryError(f"memory grew by {growth} bytes over {count} reloads")
