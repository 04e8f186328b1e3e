"""Unloading and reloading weights on a GPU: memory is freed, reloading is fast, and Python threads run meanwhile.

Uses a graph large enough to measure: half a gigabyte of random float16 weights. On the CPU a small one.
"""

from __future__ import annotations

import gc
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import pytest

from benchmarks.device.full_card import FullCard
from engine.api.errors import OutOfMemory
from engine.bundle.graph_spec import EngineSpec, GraphSpec, TensorSpec
from engine.runtime.base import Array, Graph, Runtime
from engine.runtime.gpu import Gpu
from export.tensorrt import Target, compile_engines
from tests.gpu.report import Report
from tests.gpu.roads import COMPILER, Road

_ROW_COUNT, _LAYER_COUNT = 64, 16
_SLACK_BYTES = 64 * 2**20  # the driver's granularity and modules


@dataclass(frozen=True)
class _Large:
    """A graph of square layers: ``width`` in, ``width`` out."""

    folder: Path
    spec: GraphSpec
    width: int

    @property
    def weight_bytes(self) -> int:
        """Bytes of all weights, float16."""
        return _LAYER_COUNT * self.width * self.width * 2

    def call(self, runtime: Runtime, graph: Graph) -> Array:
        """The result of one call, on the host."""
        shape = (_ROW_COUNT, self.width)
        array = np.random.default_rng(1).standard_normal(shape, dtype=np.float32).astype(np.float16)
        result = runtime.zeros(shape, "float16")
        graph.run({"h0": runtime.upload(array)}, {"y": result})
        return result.to_host()


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory, card: Gpu, road: Road, report: Report) -> _Large:
    folder = tmp_path_factory.mktemp("large")
    width = 4096 if road.device == "cuda" else 256
    file = _write_graph(folder / "large.onnx", width)
    engines: tuple[EngineSpec, ...] = ()
    if road.runtime == "tensorrt":
        target = Target("this-card", card.compute_capability, card.memory_bytes)
        engines = tuple(compile_engines(file, [target], folder, module_name=COMPILER))
        report.add("residency", str(road), **engines[0].as_dict())
    rows = TensorSpec(name="h0", dtype="float16", shape=(_ROW_COUNT, width))
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
    return _Large(folder, spec, width)


def _write_graph(file: Path, width: int) -> Path:
    body = " ".join(f"h{i + 1} = MatMul(h{i}, w{i})" for i in range(_LAYER_COUNT - 1))
    parameters = "".join(f", float16[{width},{width}] w{i}" for i in range(_LAYER_COUNT))
    last = _LAYER_COUNT - 1
    model = onnx.parser.parse_model(
        f'<ir_version: 10, opset_import: ["" : 20]> g (float16[{_ROW_COUNT},{width}] h0{parameters}) => '
        f"(float16[{_ROW_COUNT},{width}] y) {{ {body} y = MatMul(h{last}, w{last}) }}"
    )
    del model.graph.input[1:]
    generator = np.random.default_rng(0)
    for index in range(_LAYER_COUNT):
        weights = generator.standard_normal((width, width), dtype=np.float32) / np.sqrt(width)
        model.graph.initializer.append(onnx.numpy_helper.from_array(weights.astype(np.float16), f"w{index}"))
    onnx.save(model, file, save_as_external_data=True, location="weights.bin")
    return file


def test_stated_memory_is_what_the_card_gives(large: _Large, road: Road, runtime: Runtime, report: Report) -> None:
    before = runtime.memory_bytes()
    graph = runtime.load(large.folder, large.spec)
    loaded = runtime.memory_bytes() - before
    large.call(runtime, graph)
    called = runtime.memory_bytes() - before
    graph.unload()
    runtime.trim()
    unloaded = runtime.memory_bytes() - before
    report.add("residency", str(road), loaded_bytes=loaded, called_bytes=called, unloaded_bytes=unloaded)
    assert abs(loaded - large.weight_bytes) < _SLACK_BYTES
    assert called - unloaded > large.weight_bytes - _SLACK_BYTES
    for engine in large.spec.engines:
        assert abs(engine.weight_bytes - large.weight_bytes) < _SLACK_BYTES
        assert called <= engine.weight_bytes + engine.activation_bytes + _SLACK_BYTES


def test_weights_come_back_beside_other_work(large: _Large, road: Road, runtime: Runtime, report: Report) -> None:
    graph = runtime.load(large.folder, large.spec)
    first = large.call(runtime, graph)
    started = time.perf_counter()
    graph.unload()
    unload_seconds = time.perf_counter() - started
    with _Ticks() as ticks:
        started = time.perf_counter()
        graph.prefetch()
        begin_seconds = time.perf_counter() - started
        second = large.call(runtime, graph)  # waits for the weights
        prefetch_seconds = time.perf_counter() - started
    report.add(
        "residency",
        str(road),
        unload_seconds=unload_seconds,
        begin_seconds=begin_seconds,
        prefetch_seconds=prefetch_seconds,
        bytes_per_second=large.weight_bytes / prefetch_seconds,
        longest_pause_of_python_seconds=ticks.longest_seconds,
    )
    assert np.array_equal(first, second)
    assert road.device == "cpu" or begin_seconds < 0.05  # on a CPU there is no other work beside which to load
    assert ticks.longest_seconds < 0.25, "the server's event loop would stand still"


def test_fifty_swaps_leak_nothing(large: _Large, runtime: Runtime) -> None:
    graph = runtime.load(large.folder, large.spec)
    large.call(runtime, graph)
    before = runtime.memory_bytes()
    for _ in range(50):
        graph.unload()
        graph.prefetch()
        large.call(runtime, graph)
    assert runtime.memory_bytes() - before < _SLACK_BYTES


def test_the_last_reference_frees_the_graph(large: _Large, runtime: Runtime) -> None:
    before = runtime.memory_bytes()
    graph = runtime.load(large.folder, large.spec)
    del graph
    gc.collect()
    assert runtime.memory_bytes() - before < _SLACK_BYTES


@pytest.mark.road("tensorrt")
def test_kernels_that_were_kept_make_the_next_start_faster(
    large: _Large, road: Road, tmp_path: Path, report: Report
) -> None:
    seconds = []
    for _ in range(2):
        runtime = road.open_runtime(tmp_path / "kernels")
        started = time.perf_counter()
        large.call(runtime, runtime.load(large.folder, large.spec))
        seconds.append(time.perf_counter() - started)
        runtime.close()
    (kept,) = (tmp_path / "kernels").iterdir()
    report.add("kernels", str(road), cold_seconds=seconds[0], warm_seconds=seconds[1], bytes=kept.stat().st_size)
    assert kept.stat().st_size > 0


@pytest.mark.road(device="cuda")
def test_a_full_card_is_an_error_and_not_the_end(large: _Large, runtime: Runtime) -> None:
    graph = runtime.load(large.folder, large.spec)
    graph.unload()
    runtime.trim()
    with FullCard(), pytest.raises(OutOfMemory):
        large.call(runtime, graph)
    assert np.isfinite(large.call(runtime, graph).astype(np.float32)).all()


def test_a_buffer_that_no_device_holds_is_an_error_and_not_the_end(large: _Large, runtime: Runtime) -> None:
    graph = runtime.load(large.folder, large.spec)
    with pytest.raises(OutOfMemory):
        runtime.zeros((1 << 43,), "int64")
    assert np.isfinite(large.call(runtime, graph).astype(np.float32)).all()


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
