"""A transformer in groups of blocks runs as one graph: results, memory of what crosses, cancels, faults of one plan."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from engine.api.cancellation import CancelFlag
from engine.api.errors import BundleInvalid, Cancelled
from engine.bundle.crossing import crossing_bytes, place_crossings
from engine.bundle.graph_spec import EnginePart, EngineSpec, GraphSpec, TensorSpec
from engine.memory.plan import GPU_BYTES, RESERVED_BYTES, plan_memory
from engine.memory.swapping import GraphSwapper, SwappedGraph
from engine.runtime.execution import Execution
from engine.runtime.trt import TrtRuntime
from tests import fake_tensorrt
from tests.fake_cuda import FakeCuda
from tests.grouped_plans import ROWS, WIDTH, GroupedGraph, prediction_of, whole_numbers, write_grouped
from tests.memory_demands import A14B_480P, A14B_INT4, GB, SM_89, a14b_manifest
from tests.planned_bundles import WEIGHT_BYTES, engine_spec, runtime_in

_EXPERT_FP8 = (4 * 36 * GB // 10, 4 * GB)
_FP8 = {**A14B_INT4, "transformer_high": _EXPERT_FP8, "transformer_low": _EXPERT_FP8}


@pytest.fixture
def grouped(tmp_path: Path) -> GroupedGraph:
    folder = tmp_path / "grouped"
    folder.mkdir()
    return write_grouped(folder)


@pytest.fixture
def runtime(fake_gpu: FakeCuda, tmp_path: Path) -> Iterator[TrtRuntime]:
    runtime = runtime_in(tmp_path)
    yield runtime
    runtime.close()


def _predict(runtime: TrtRuntime, graph: Any, batch: int, flag: CancelFlag | None = None) -> NDArray[Any]:
    inputs = {name: runtime.upload(array) for name, array in whole_numbers(batch).items()}
    prediction = runtime.zeros((batch, WIDTH))
    Execution(runtime, flag or CancelFlag()).run(graph, inputs, {"prediction": prediction})
    return prediction.to_host()


def test_groups_one_after_another_are_one_graph(runtime: TrtRuntime, grouped: GroupedGraph) -> None:
    graph = runtime.load(grouped.folder, grouped.spec)
    assert graph.spec is grouped.spec
    for batch in (1, 2, 1):
        np.testing.assert_array_equal(_predict(runtime, graph, batch), prediction_of(whole_numbers(batch)))


def test_what_crosses_takes_what_is_planned_until_the_stage_ends(
    runtime: TrtRuntime, grouped: GroupedGraph, fake_gpu: FakeCuda
) -> None:
    before = fake_gpu.used_bytes
    graph, other = (runtime.load(grouped.folder, grouped.spec) for _ in range(2))
    loaded = before + 2 * len(grouped.parts) * WEIGHT_BYTES
    assert fake_gpu.used_bytes == loaded
    crossing = crossing_bytes(place_crossings(grouped.parts, {"batch": 2, "rows": ROWS}))
    assert crossing == 1024 + 2048 + 4 * 2 * WIDTH  # hidden_1 and text, each rounded up, and hidden_2
    _predict(runtime, graph, 2)
    called = fake_gpu.used_bytes
    assert [len(content) for _, content in fake_gpu._buffers.values()].count(crossing) == 1
    _predict(runtime, graph, 1)
    _predict(runtime, other, 2)  # the other expert takes the same memory
    assert fake_gpu.used_bytes == called
    runtime.trim()
    assert fake_gpu.used_bytes == loaded
    graph.unload()
    assert fake_gpu.used_bytes == loaded - len(grouped.parts) * WEIGHT_BYTES
    graph.prefetch()
    np.testing.assert_array_equal(_predict(runtime, graph, 2), prediction_of(whole_numbers(2)))
    assert fake_gpu.used_bytes == called


@pytest.mark.parametrize("is_swapped", [False, True])
def test_a_cancelled_job_ends_within_one_group(
    runtime: TrtRuntime, grouped: GroupedGraph, monkeypatch: pytest.MonkeyPatch, is_swapped: bool
) -> None:
    flag, started = CancelFlag(), []
    execute = fake_tensorrt.Context.execute_async_v3

    def execute_and_cancel(context: fake_tensorrt.Context, stream: int) -> bool:
        started.append(Path(context.engine.plan["graph"]).name)
        if len(started) == 2:
            flag.set()
        return execute(context, stream)

    monkeypatch.setattr(fake_tensorrt.Context, "execute_async_v3", execute_and_cancel)
    swapper = GraphSwapper(lambda spec: runtime.load(grouped.folder, spec))
    graph = SwappedGraph(grouped.spec, swapper) if is_swapped else runtime.load(grouped.folder, grouped.spec)
    with pytest.raises(Cancelled):
        _predict(runtime, graph, 2, flag)
    assert started == ["group_1.onnx", "group_2.onnx"]
    np.testing.assert_array_equal(_predict(runtime, graph, 2), prediction_of(whole_numbers(2)))
    assert started[2:] == ["group_1.onnx", "group_2.onnx", "group_3.onnx"]
    swapper.close()


def test_one_plan_that_is_gone(runtime: TrtRuntime, grouped: GroupedGraph, tmp_path: Path) -> None:
    for file in grouped.folder.glob("*.plan"):
        if file.name != "group_2.plan":
            (tmp_path / file.name).write_bytes(file.read_bytes())
    with pytest.raises(BundleInvalid, match=r"cannot read .*group_2.plan: No such file or directory; copy the bundle"):
        runtime.load(tmp_path, grouped.spec)


def test_an_entry_without_groups_reads_as_before() -> None:
    """Older servers refuse fields that they do not know: an entry without groups has none of theirs."""
    one = engine_spec("transformer.plan")
    assert "parts" not in one.as_dict()
    assert EngineSpec.from_dict(one.as_dict()) == one
    assert one.files == ("transformer.plan",)


def test_places_are_free_again_once_they_were_read_for_the_last_time(grouped: GroupedGraph) -> None:
    """``first`` and ``second`` are needed at once; ``third`` begins where ``first`` was, which is read no more."""

    def tensors(*names: str) -> tuple[TensorSpec, ...]:
        return tuple(TensorSpec(name=name, dtype="float16", shape=("batch", 100)) for name in names)

    reads = (("latents",), ("first", "kept"), ("second", "kept"), ("third",))
    writes = (("first", "kept"), ("second",), ("third",), ("prediction",))
    parts = [
        grouped.parts[0].with_changes(inputs=tensors(*read), outputs=tensors(*write))
        for read, write in zip(reads, writes, strict=True)
    ]
    placed = place_crossings(parts, {"batch": 2})
    assert {name: (item.offset, item.byte_count) for name, item in placed.items()} == {
        "first": (0, 400),
        "kept": (512, 400),
        "second": (1024, 400),
        "third": (0, 400),
    }
    assert crossing_bytes(placed) == 1424


def test_the_memory_plan_of_an_expert_in_four_groups() -> None:
    """FP8 at 832x480x81, in four groups: the sum of the weights, the largest scratch, and what crosses, by hand."""
    whole = a14b_manifest(_FP8, precision="fp8", compute_capability=SM_89)
    token_count, width, rows = 32_760, 5120, 512
    kept = {
        "time": TensorSpec(name="time", dtype="float32", shape=(1, 1, width)),
        "modulation": TensorSpec(name="modulation", dtype="float32", shape=(1, 1, 6, width)),
        "text": TensorSpec(name="text", dtype="float16", shape=("batch", "rows", width)),
    }
    hidden = [
        TensorSpec(name=f"hidden_{index}", dtype="float16", shape=("batch", token_count, width))
        for index in (10, 20, 30)
    ]

    def grouped(graph: GraphSpec) -> GraphSpec:
        (engine,) = graph.engines
        reads = (graph.inputs, *((item, *kept.values()) for item in hidden))
        writes = ((hidden[0], *kept.values()), *((item,) for item in hidden[1:]), graph.outputs)
        parts = tuple(
            EnginePart(
                file=f"{engine.file}.{index}",
                inputs=tuple(read),
                outputs=tuple(write),
                activation_bytes=(index + 1) * GB,
                weight_bytes=36 * GB // 10,
                plan_bytes=0,
            )
            for index, (read, write) in enumerate(zip(reads, writes, strict=True))
        )
        return graph.with_changes(engines=(engine.with_changes(parts=parts),))

    experts = {"transformer_high", "transformer_low"}
    manifest = whole.with_changes(
        graphs=tuple(grouped(graph) if graph.stage in experts else graph for graph in whole.graphs)
    )
    crossing = 2 * 2 * token_count * width + 2 * rows * width + 4 * 7 * width
    plans = {}
    for name, item in {"whole": whole, "grouped": manifest}.items():
        stages = plan_memory(item, SM_89, GPU_BYTES - RESERVED_BYTES).of(A14B_480P).stages
        plans[name] = [(stage.weight_bytes, stage.scratch_bytes, stage.buffer_bytes) for stage in stages]
    assert plans["grouped"][:2] == plans["whole"][:2]
    for index in (2, 3):  # denoising with each expert
        weights, scratch, buffers = plans["whole"][index]
        assert plans["grouped"][index] == (weights, scratch, buffers + crossing)
