"""Faults of the GPU and of TensorRT: each is told by its cause, wherever it happens."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest

from engine.api.errors import BundleInvalid, DeviceLost, EngineLost, GraphFailed, OutOfMemory
from engine.runtime.base import Graph
from engine.runtime.library_log import LibraryLog
from engine.runtime.trt import TrtRuntime
from tests import fake_tensorrt
from tests.fake_cuda import FakeCuda, cudaError_t
from tests.fake_tensorrt import CLEAN_UP, OUT_OF_MEMORY
from tests.planned_bundles import decode, graph_of, latent_of, runtime_in

STICKY = (
    cudaError_t.cudaErrorIllegalAddress,
    cudaError_t.cudaErrorLaunchFailure,
    cudaError_t.cudaErrorECCUncorrectable,
    cudaError_t.cudaErrorLaunchTimeout,
    cudaError_t.cudaErrorDevicesUnavailable,
    cudaError_t.cudaErrorUnknown,
)


@pytest.fixture
def refused(monkeypatch: pytest.MonkeyPatch) -> dict[str, tuple[str, ...]]:
    """Steps of the library that fail, with the lines that it logs."""
    steps: dict[str, tuple[str, ...]] = {}
    monkeypatch.setattr(fake_tensorrt, "refused", steps)
    return steps


def opened(bundle: Path, tmp_path: Path) -> tuple[TrtRuntime, Graph]:
    runtime = runtime_in(tmp_path)
    return runtime, runtime.load(bundle, graph_of(bundle, "vae_decoder_init"))


@pytest.mark.parametrize("status", STICKY, ids=lambda status: status.name)
def test_an_error_that_lasts_is_a_lost_device_in_every_later_call(
    fake_gpu: FakeCuda, planned_bundle: Path, tmp_path: Path, status: cudaError_t
) -> None:
    runtime, graph = opened(planned_bundle, tmp_path)
    latent = latent_of(graph.spec)
    fake_gpu.break_wait(2, status)  # the first wait is that of the upload
    with pytest.raises(DeviceLost) as lost:
        decode(runtime, graph, latent)
    assert lost.value.cause == f"cudaStreamSynchronize failed: text of {status.name} ({status.name})"
    assert isinstance(lost.value, EngineLost)
    assert (
        str(lost.value) == "the GPU failed, so the engine must be restarted; send the job again, or to another server"
    )
    for call in (lambda: runtime.upload(latent), runtime.memory_bytes, graph.unload, runtime.trim):
        with pytest.raises(DeviceLost):
            call()


def test_a_failure_without_a_reason_is_a_lost_device_where_cuda_says_so(
    fake_gpu: FakeCuda, planned_bundle: Path, tmp_path: Path, refused: dict[str, tuple[str, ...]]
) -> None:
    runtime, graph = opened(planned_bundle, tmp_path)
    graph.unload()
    refused["stream"] = (CLEAN_UP,)
    fake_gpu.break_wait(1, cudaError_t.cudaErrorIllegalAddress)
    with pytest.raises(DeviceLost):
        runtime.stream.wait()
    with pytest.raises(DeviceLost):
        decode(runtime, graph, latent_of(graph.spec))


@pytest.mark.parametrize(
    ("step", "lines"),
    [
        ("open", OUT_OF_MEMORY),
        (
            "context",
            ("[virtualMemoryBuffer.cpp::resize::154] Error Code 2: OutOfMemory (no reason)", CLEAN_UP, CLEAN_UP),
        ),
        ("stream", ("Error Code 1: Cuda Runtime (In allocate (cudaError 2: no such text))", CLEAN_UP)),
    ],
)
def test_a_lack_of_memory_is_told_wherever_a_plan_is_opened(
    fake_gpu: FakeCuda,
    planned_bundle: Path,
    tmp_path: Path,
    refused: dict[str, tuple[str, ...]],
    step: str,
    lines: tuple[str, ...],
) -> None:
    refused[step] = lines
    with pytest.raises(OutOfMemory, match="the GPU ran out of memory"):
        opened(planned_bundle, tmp_path)


def test_a_lack_of_memory_is_told_by_a_call(
    fake_gpu: FakeCuda, planned_bundle: Path, tmp_path: Path, refused: dict[str, tuple[str, ...]]
) -> None:
    runtime, graph = opened(planned_bundle, tmp_path)
    latent = latent_of(graph.spec)
    refused["enqueue"] = OUT_OF_MEMORY
    with pytest.raises(OutOfMemory, match="the GPU ran out of memory"):
        decode(runtime, graph, latent)
    refused.clear()
    runtime.trim()
    outputs = {item.name: runtime.zeros(tuple(map(int, item.shape)), item.dtype) for item in graph.spec.outputs}
    inputs = {graph.spec.inputs[0].name: runtime.upload(latent)}
    fake_gpu.memory_bytes = fake_gpu.used_bytes + fake_tensorrt.SCRATCH_BYTES - 2
    with pytest.raises(OutOfMemory):  # the scratch does not fit
        graph.run(inputs, outputs)


def test_an_error_of_the_library_tells_its_cause_first(
    fake_gpu: FakeCuda, planned_bundle: Path, tmp_path: Path, refused: dict[str, tuple[str, ...]]
) -> None:
    runtime, graph = opened(planned_bundle, tmp_path)
    cause = "Error Code 3: API Usage Error (an input is not bound)"
    refused["enqueue"] = (cause, CLEAN_UP)
    with pytest.raises(GraphFailed) as failed:
        decode(runtime, graph, latent_of(graph.spec))
    assert str(failed.value) == f"graph {graph.spec.file}: the call was refused: {cause}; {CLEAN_UP}"
    refused["enqueue"] = ("Error Code 1: Cuda Runtime (In launch (cudaError 700: an illegal memory access))", CLEAN_UP)
    with pytest.raises(DeviceLost, match="the GPU failed"):
        decode(runtime, graph, latent_of(graph.spec))


def test_a_plan_that_is_damaged_tells_its_cause_and_names_the_file(
    fake_gpu: FakeCuda, planned_bundle: Path, tmp_path: Path, refused: dict[str, tuple[str, ...]]
) -> None:
    refused["open"] = ("Error Code 1: Serialization (the plan is cut short)", CLEAN_UP)
    with pytest.raises(
        BundleInvalid, match=r"it could not be opened: .*the plan is cut short.*; export the checkpoint"
    ):
        opened(planned_bundle, tmp_path)


def test_lines_of_another_thread_do_not_tell_the_cause_of_this_call(fake_gpu: FakeCuda, tmp_path: Path) -> None:
    log = LibraryLog("tensorrt", runtime_in(tmp_path).device)
    runner = runtime_in(tmp_path)._loader

    def fail_for_memory() -> BaseException:
        with log.call() as logged:
            for line in OUT_OF_MEMORY:
                log.add(line, is_error=True)
            return logged.failure("loading")

    with log.call() as logged:
        assert isinstance(runner.submit(fail_for_memory).result(30), OutOfMemory)
        log.add("a shape is wrong", is_error=True)
        assert str(logged.failure("calling")) == "calling: a shape is wrong"
        runner.submit(log.add, "a thread of the library ran out of memory", is_error=True).result(30)
        assert isinstance(logged.failure("calling"), OutOfMemory)


def test_shapes_outside_of_a_plans_profile_are_refused(
    fake_gpu: FakeCuda, planned_bundle: Path, tmp_path: Path
) -> None:
    runtime = runtime_in(tmp_path)
    graph = runtime.load(planned_bundle, graph_of(planned_bundle, "transformer_high"))
    lengths = {"batch": 1, "rows": 513}
    shapes = {
        item.name: tuple(lengths.get(axis, 1) if isinstance(axis, str) else axis for axis in item.shape)
        for item in graph.spec.inputs
    }
    inputs = {item.name: runtime.zeros(shapes[item.name], item.dtype) for item in graph.spec.inputs}
    outputs = {item.name: runtime.zeros((1,), item.dtype) for item in graph.spec.outputs}
    with pytest.raises(GraphFailed, match=r"cannot have the shape .*513.*the profile of this plan"):
        graph.run(inputs, outputs)


def test_the_first_call_of_a_shape_waits_for_its_kernels(
    fake_gpu: FakeCuda, planned_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fake_tensorrt, "strategies", [])
    opened(planned_bundle, tmp_path)
    assert fake_tensorrt.strategies == [fake_tensorrt.DynamicShapesKernelSpecializationStrategy.EAGER]


def test_kernels_outlive_a_process_that_is_killed(fake_gpu: FakeCuda, planned_bundle: Path, tmp_path: Path) -> None:
    """Nothing is closed here: the file is there after the first call of a shape."""
    runtime, graph = opened(planned_bundle, tmp_path)
    runtime._kernels.wait()
    (file,) = (tmp_path / "kernels").iterdir()
    assert file.read_bytes() == b"[]"  # opening compiles nothing in the fake
    decode(runtime, graph, latent_of(graph.spec))
    runtime._kernels.wait()
    assert graph.spec.file in file.read_text()
    written = file.stat().st_mtime_ns
    decode(runtime, graph, latent_of(graph.spec))
    runtime._kernels.wait()
    assert file.stat().st_mtime_ns == written


def test_kernels_that_the_library_refuses_are_told_with_the_reason(
    fake_gpu: FakeCuda,
    planned_bundle: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    for _ in range(2):
        runtime, graph = opened(planned_bundle, tmp_path)
        decode(runtime, graph, latent_of(graph.spec))
        runtime.close()
        assert "are not used" not in caplog.text
    monkeypatch.setattr(fake_tensorrt, "kernels_refused_for", ["the cache is of driver 580"])
    opened(planned_bundle, tmp_path)
    (told,) = [record for record in caplog.records if "are not used" in record.getMessage()]
    assert told.levelno == logging.WARNING
    assert (
        "sm_86-fake-rtx-3090.kernels are not used: the cache is of driver 580; they are compiled" in told.getMessage()
    )


@pytest.fixture
def without_pinned_memory(fake_gpu: FakeCuda, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fake_gpu, "cudaHostAlloc", lambda *_: (cudaError_t.cudaErrorMemoryAllocation, None))


@pytest.mark.usefixtures("without_pinned_memory")
def test_weights_come_without_page_locked_memory_too(
    planned_bundle: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    runtime, graph = opened(planned_bundle, tmp_path)
    first = decode(runtime, graph, latent_of(graph.spec))
    assert "weights are copied without page-locked memory, which takes longer" in caplog.text
    assert np.isfinite(next(iter(first.values()))).all()


def test_weights_that_cannot_be_streamed_are_copied_in_one_piece(
    fake_gpu: FakeCuda,
    planned_bundle: Path,
    tmp_path: Path,
    refused: dict[str, tuple[str, ...]],
    caplog: pytest.LogCaptureFixture,
) -> None:
    refused["stream"] = ("the reader is not supported", CLEAN_UP)
    runtime, graph = opened(planned_bundle, tmp_path)
    decode(runtime, graph, latent_of(graph.spec))
    assert f"the reader is not supported; {CLEAN_UP}; they are copied in one piece" in caplog.text
    refused["weights"] = OUT_OF_MEMORY
    graph.unload()
    with pytest.raises(OutOfMemory):
        decode(runtime, graph, latent_of(graph.spec))
