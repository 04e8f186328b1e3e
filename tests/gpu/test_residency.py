"""Unloading and reloading weights on a GPU: memory is freed, reloading is fast, and Python threads run meanwhile.

Uses a plan large enough to measure: half a gigabyte of random float16 weights.
"""

from __future__ import annotations

import gc
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from engine.api.errors import OutOfMemory
from engine.bundle.graph_spec import GraphSpec, TensorSpec
from engine.runtime.base import Array
from engine.runtime.gpu import Gpu
from engine.runtime.trt import TrtRuntime
from export.tensorrt import Target, compile_engines
from tests.gpu.plans import COMPILER
from tests.gpu.report import Report

_WIDTH, _LAYER_COUNT = 4096, 16
_WEIGHT_BYTES = _LAYER_COUNT * _WIDTH * _WIDTH * 2
_SLACK_BYTES = 64 * 2**20  # the driver's granularity and modules


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory, card: Gpu, report: Report) -> tuple[Path, GraphSpec]:
    folder = tmp_path_factory.mktemp("large")
    body = " ".join(f"h{i + 1} = MatMul(h{i}, w{i})" for i in range(_LAYER_COUNT - 1))
    parameters = "".join(f", float16[{_WIDTH},{_WIDTH}] w{i}" for i in range(_LAYER_COUNT))
    last = _LAYER_COUNT - 1
    model = onnx.parser.parse_model(
        f'<ir_version: 10, opset_import: ["" : 20]> g (float16[64,{_WIDTH}] h0{parameters}) => '
        f"(float16[64,{_WIDTH}] y) {{ {body} y = MatMul(h{last}, w{last}) }}"
    )
    del model.graph.input[1:]
    generator = np.random.default_rng(0)
    for index in range(_LAYER_COUNT):
        weights = generator.standard_normal((_WIDTH, _WIDTH), dtype=np.float32) / np.sqrt(_WIDTH)
        model.graph.initializer.append(onnx.numpy_helper.from_array(weights.astype(np.float16), f"w{index}"))
    file = folder / "large.onnx"
    onnx.save(model, file, save_as_external_data=True, location="weights.bin")
    target = Target("this-card", card.compute_capability, card.memory_bytes)
    engines = compile_engines(file, [target], folder, module_name=COMPILER)
    report.add("residency", "large", **engines[0].as_dict())
    rows = TensorSpec(name="h0", dtype="float16", shape=(64, _WIDTH))
    spec = GraphSpec(
        stage="transformer",
        file=file.name,
        precision="fp16",
        inputs=(rows,),
        outputs=(rows.with_changes(name="y"),),
        max_abs_error=None,
        max_abs_value=None,
        engines=engines,
    )
    return folder, spec


def _call(runtime: TrtRuntime, graph: Any) -> Array:
    array = np.random.default_rng(1).standard_normal((64, _WIDTH), dtype=np.float32).astype(np.float16)
    result = runtime.zeros((64, _WIDTH), "float16")
    graph.run({"h0": runtime.upload(array)}, {"y": result})
    return result.to_host()


def test_stated_memory_is_what_the_card_gives(
    large: tuple[Path, GraphSpec], runtime: TrtRuntime, report: Report
) -> None:
    before = runtime.memory_bytes()
    graph = runtime.load(*large)
    loaded = runtime.memory_bytes() - before
    _call(runtime, graph)
    called = runtime.memory_bytes() - before
    graph.unload()
    unloaded = runtime.memory_bytes() - before
    (engine,) = large[1].engines
    report.add("residency", "large", loaded_bytes=loaded, called_bytes=called, unloaded_bytes=unloaded)
    assert abs(engine.weight_bytes - _WEIGHT_BYTES) < _SLACK_BYTES
    assert abs(loaded - engine.weight_bytes) < _SLACK_BYTES
    assert called <= engine.weight_bytes + engine.activation_bytes + _SLACK_BYTES
    assert called - unloaded > engine.weight_bytes - _SLACK_BYTES


def test_weights_come_back_beside_other_work(
    large: tuple[Path, GraphSpec], runtime: TrtRuntime, report: Report
) -> None:
    graph = runtime.load(*large)
    first = _call(runtime, graph)
    started = time.perf_counter()
    graph.unload()
    unload_seconds = time.perf_counter() - started
    with _Ticks() as ticks:
        started = time.perf_counter()
        graph.prefetch()
        begin_seconds = time.perf_counter() - started
        second = _call(runtime, graph)  # waits for the weights
        prefetch_seconds = time.perf_counter() - started
    report.add(
        "residency",
        "large",
        unload_seconds=unload_seconds,
        prefetch_seconds=prefetch_seconds,
        bytes_per_second=_WEIGHT_BYTES / prefetch_seconds,
        longest_pause_of_python_seconds=ticks.longest_seconds,
    )
    assert np.array_equal(first, second)
    assert begin_seconds < 0.05
    assert ticks.longest_seconds < 0.25, "the server's event loop would stand still"


def test_fifty_swaps_leak_nothing(large: tuple[Path, GraphSpec], runtime: TrtRuntime) -> None:
    graph = runtime.load(*large)
    _call(runtime, graph)
    before = runtime.memory_bytes()
    for _ in range(50):
        graph.unload()
        graph.prefetch()
        _call(runtime, graph)
    assert runtime.memory_bytes() - before < _SLACK_BYTES


def test_the_last_reference_frees_the_plan(large: tuple[Path, GraphSpec], runtime: TrtRuntime) -> None:
    before = runtime.memory_bytes()
    graph = runtime.load(*large)
    del graph
    gc.collect()
    assert runtime.memory_bytes() - before < _SLACK_BYTES


def test_kernels_that_were_kept_make_the_next_start_faster(
    large: tuple[Path, GraphSpec], tmp_path: Path, report: Report
) -> None:
    seconds = []
    for _ in range(2):
        runtime = TrtRuntime(COMPILER, tmp_path / "kernels")
        started = time.perf_counter()
        _call(runtime, runtime.load(*large))
        seconds.append(time.perf_counter() - started)
        runtime.close()
    (kept,) = (tmp_path / "kernels").iterdir()
    report.add("kernels", "large", cold_seconds=seconds[0], warm_seconds=seconds[1], bytes=kept.stat().st_size)
    assert kept.stat().st_size > 0


def test_a_full_card_is_an_error_and_not_the_end(large: tuple[Path, GraphSpec], runtime: TrtRuntime, card: Gpu) -> None:
    graph = runtime.load(*large)
    graph.unload()
    free = card.memory_bytes - runtime.memory_bytes()
    hog = runtime.zeros((max(free - _WEIGHT_BYTES // 2, 0) // 8,), "int64")
    with pytest.raises(OutOfMemory):
        _call(runtime, graph)
    del hog
    assert np.isfinite(_call(runtime, graph).astype(np.float32)).all()


class _Ticks:
    """A thread that wakes every millisecond; its longest delay is how long an event loop would have been blocked."""

    def __enter__(self) -> _Ticks:
        self.longest_seconds = 0.0
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        self._thread.join()

    def _run(self) -> None:
        last = time.perf_counter()
        while not self._is_over.is_set():
            time.sleep(0.001)
            now = time.perf_counter()
            self.longest_seconds = max(self.longest_seconds, now - last)
            last = now
