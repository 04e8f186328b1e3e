"""ONNX Runtime on CUDA without a GPU: the values of clips, memory, errors, the choice of the runtime, packages.

``tests.fake_onnxruntime`` stands for the library; nothing here was run on a GPU.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import metadata
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from engine import open_engine
from engine.api.cancellation import CancelFlag
from engine.api.errors import BundleInvalid, DeviceLost, DeviceUnavailable, GraphFailed, OutOfMemory
from engine.api.events import FrameReady
from engine.api.job import Job, SamplingSpec, VideoSpec
from engine.api.media import Image
from engine.api.settings import EngineSettings
from engine.bundle.folder import parse_manifest
from engine.memory.plan import default_budget_bytes, plan_memory
from engine.runtime import ort_cuda
from engine.runtime.choice import choose_runtime
from engine.runtime.gpu import find_gpu
from engine.runtime.ort import OrtRuntime
from engine.runtime.ort_cuda import OrtCudaRuntime
from tests.fake_cuda import FakeCuda, FakeDevice, cudaError_t
from tests.fake_onnxruntime import SCRATCH_BYTES, WEIGHT_BYTES, FakeOnnxRuntime, cuda_failure
from tests.planned_bundles import graph_of, install_fake_gpu, latent_of

CARDS = (FakeDevice(), FakeDevice("Fake H100", "22222222-0000-0000-0000-000000000000", 9, 0))


@pytest.fixture
def gpus(fake_gpu: FakeCuda, monkeypatch: pytest.MonkeyPatch) -> FakeCuda:
    fake = FakeCuda(devices=CARDS)
    install_fake_gpu(fake, monkeypatch)
    return fake


@pytest.fixture
def library(gpus: FakeCuda, monkeypatch: pytest.MonkeyPatch) -> FakeOnnxRuntime:
    fake = FakeOnnxRuntime(gpus)
    monkeypatch.setattr(ort_cuda, "onnxruntime", fake)
    monkeypatch.setattr(onnxruntime, "get_available_providers", fake.get_available_providers)
    return fake


def test_a_clip_is_the_same_as_on_the_cpu(
    library: FakeOnnxRuntime, gpus: FakeCuda, tiny_bundle: Path, png: Callable[..., bytes]
) -> None:
    job = Job(
        image=Image(png(64, 48)),
        prompt="a cat jumps",
        sampling=SamplingSpec(seed=3, step_count=3, guidance_scale=2.0),
        video=VideoSpec(width_px=64, height_px=48, frame_count=9),
    )
    clips, names = [], []
    for device in ("cuda:1", "cpu"):
        engine = open_engine(tiny_bundle, EngineSettings(1, device=device))
        names.append((engine.capabilities().device, engine.capabilities().runtime))
        events = list(engine.generate(engine.prepare(job), CancelFlag()))
        clips.append(np.stack([event.pixels for event in events if isinstance(event, FrameReady)]))
        engine.close()
    assert names[0] == ("cuda:1", "onnxruntime 1.31.1 CUDAExecutionProvider Fake H100 (sm_90)")
    assert names[1][0] == "cpu"
    assert clips[0].shape == (9, 48, 64, 3)
    assert np.abs(clips[0].astype(int) - clips[1]).max() <= 1
    assert gpus.used_bytes_of(0) == 0


def test_a_call_gives_its_scratch_back_and_unloading_the_weights(
    library: FakeOnnxRuntime, gpus: FakeCuda, tiny_bundle: Path
) -> None:
    runtime = OrtCudaRuntime(find_gpu("cuda"))
    spec = graph_of(tiny_bundle, "vae_decoder_init")
    graph = runtime.load(tiny_bundle, spec)
    outputs = {item.name: runtime.zeros(tuple(map(int, item.shape)), item.dtype) for item in spec.outputs}
    given = {spec.inputs[0].name: runtime.upload(latent_of(spec))}
    held = gpus.used_bytes
    graph.run(given, outputs)
    assert gpus.used_bytes == held
    graph.unload()
    assert gpus.used_bytes == held - WEIGHT_BYTES
    graph.prefetch()
    graph.prefetch()
    before = len(library.opened)
    graph.run(given, outputs)
    assert len(library.opened) == before
    assert gpus.used_bytes == held
    assert runtime.peak_memory_bytes() >= held


def test_views_and_updates_stay_on_the_gpu(library: FakeOnnxRuntime, tiny_bundle: Path) -> None:
    """One half of guidance after the other reads rows of one buffer, and writes rows of another."""
    runtime = OrtCudaRuntime(find_gpu("cuda"))
    spec = graph_of(tiny_bundle, "vae_decoder_init")
    graph = runtime.load(tiny_bundle, spec)
    name, target = spec.inputs[0].name, spec.outputs[0].name
    latent = latent_of(spec)
    both = runtime.zeros((2, *latent.shape[1:]))
    both.row(1).update(latent)
    frames = runtime.zeros((2, *(int(axis) for axis in spec.outputs[0].shape[1:])))
    rest = {item.name: runtime.zeros(tuple(map(int, item.shape)), item.dtype) for item in spec.outputs[1:]}
    graph.run({name: both.row(1)}, {target: frames.row(1), **rest})
    alone = OrtRuntime(1)
    expected = alone.zeros(tuple(map(int, spec.outputs[0].shape)))
    others = {item.name: alone.zeros(tuple(map(int, item.shape)), item.dtype) for item in spec.outputs[1:]}
    alone.load(tiny_bundle, spec).run({name: alone.upload(latent)}, {target: expected, **others})
    assert np.allclose(frames.to_host()[1:], expected.to_host(), atol=1e-6)
    assert not frames.to_host()[:1].any()


@pytest.mark.parametrize(
    ("text", "error"),
    [
        (cuda_failure(cudaError_t.cudaErrorMemoryAllocation, "cuda_allocator.cc", "cudaMalloc(&p, size)"), OutOfMemory),
        ("bfc_arena.cc:376 BFCArena::AllocateRawInternal Failed to allocate memory for requested buffer", OutOfMemory),
        ("CUBLAS failure 3: CUBLAS_STATUS_ALLOC_FAILED ; GPU=0", OutOfMemory),
        (
            cuda_failure(cudaError_t.cudaErrorIllegalAddress, "cuda_stream_handle.cc", "cudaStreamSynchronize"),
            DeviceLost,
        ),
        (cuda_failure(cudaError_t.cudaErrorInvalidValue, "cuda_call.cc", "cudaMemcpyAsync"), GraphFailed),
        ("Attempting to broadcast an axis by a dimension other than 1", GraphFailed),
    ],
)
def test_the_librarys_texts_become_errors_of_the_engine(
    library: FakeOnnxRuntime, tiny_bundle: Path, text: str, error: type[Exception]
) -> None:
    runtime = OrtCudaRuntime(find_gpu("cuda"))
    spec = graph_of(tiny_bundle, "vae_decoder_init")
    graph = runtime.load(tiny_bundle, spec)
    library.fault = text
    with pytest.raises(error) as raised:
        graph.run({spec.inputs[0].name: runtime.upload(latent_of(spec))}, {})
    assert type(raised.value) is error


def test_memory_that_runs_out_is_told_wherever_it_does(
    library: FakeOnnxRuntime, gpus: FakeCuda, tiny_bundle: Path
) -> None:
    runtime = OrtCudaRuntime(find_gpu("cuda"))
    spec = graph_of(tiny_bundle, "vae_decoder_init")
    graph = runtime.load(tiny_bundle, spec)
    given = {spec.inputs[0].name: runtime.upload(latent_of(spec))}
    outputs = {item.name: runtime.zeros(tuple(map(int, item.shape)), item.dtype) for item in spec.outputs}
    gpus.memory_bytes = gpus.used_bytes + SCRATCH_BYTES - 1
    with pytest.raises(OutOfMemory):
        graph.run(given, outputs)
    with pytest.raises(OutOfMemory):
        runtime.load(tiny_bundle, spec)
    gpus.memory_bytes += SCRATCH_BYTES
    graph.run(given, outputs)


def test_a_gpu_that_breaks_in_a_call_is_lost(library: FakeOnnxRuntime, gpus: FakeCuda, tiny_bundle: Path) -> None:
    runtime = OrtCudaRuntime(find_gpu("cuda"))
    spec = graph_of(tiny_bundle, "vae_decoder_init")
    graph = runtime.load(tiny_bundle, spec)
    given = {spec.inputs[0].name: runtime.upload(latent_of(spec))}
    outputs = {item.name: runtime.zeros(tuple(map(int, item.shape)), item.dtype) for item in spec.outputs}
    gpus.break_wait(1, cudaError_t.cudaErrorIllegalAddress)
    with pytest.raises(DeviceLost):
        graph.run(given, outputs)


def test_wrong_calls_are_refused(library: FakeOnnxRuntime, tiny_bundle: Path) -> None:
    runtime = OrtCudaRuntime(find_gpu("cuda"))
    spec = graph_of(tiny_bundle, "vae_decoder_init")
    graph = runtime.load(tiny_bundle, spec)
    name = spec.inputs[0].name
    with pytest.raises(GraphFailed, match=f"{spec.file} failed: .*Missing Input: {name}"):
        graph.run({}, {})
    with pytest.raises(GraphFailed, match="Unexpected input data type"):
        graph.run({name: runtime.zeros((1,), "float16")}, {})
    with pytest.raises(GraphFailed, match="Got invalid dimensions"):
        graph.run({name: runtime.zeros((1,))}, {})
    with pytest.raises(TypeError, match="of another runtime"):
        graph.run({name: OrtRuntime(1).upload(latent_of(spec))}, {})
    with pytest.raises(BundleInvalid, match=r"cannot load .*absent.onnx: .*; export .* set the device to cpu"):
        runtime.load(tiny_bundle, spec.with_changes(file="absent.onnx"))


def test_a_provider_without_its_libraries_is_no_silent_cpu(
    library: FakeOnnxRuntime, tiny_bundle: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The real library opens such a session on the CPU, and prints why."""
    library.missing_library = "libcublasLt.so.13"
    with pytest.raises(
        DeviceUnavailable,
        match=r"ONNX Runtime 1.31.1 cannot use Fake RTX 3090: the library fell back to the CPU; "
        r"Failed to load libcublasLt.so.13: .*run: pip uninstall",
    ):
        open_engine(tiny_bundle, EngineSettings(1, device="cuda"))
    engine = open_engine(tiny_bundle, EngineSettings(1))
    assert engine.capabilities().device == "cpu"
    assert "the bundle's graphs run on the CPU: ONNX Runtime 1.31.1 cannot use Fake RTX 3090" in caplog.text
    engine.close()


def test_auto_takes_the_gpu_that_the_package_can_use(
    library: FakeOnnxRuntime, gpus: FakeCuda, tiny_bundle: Path, planned_bundle: Path, tmp_path: Path
) -> None:
    plain, planned = parse_manifest(tiny_bundle), parse_manifest(planned_bundle)
    assert choose_runtime(plain, "auto", 1, None).device == "cuda:0"
    assert choose_runtime(plain, "onnxruntime", 1, None).device == "cuda:0"
    assert choose_runtime(plain, "auto", 1, None, "cpu").device == "cpu"
    assert choose_runtime(planned, "auto", 1, None).compute_capability == "sm_86"
    without = choose_runtime(planned, "auto", 1, None, "cuda:1")
    assert isinstance(without.runtime, OrtCudaRuntime)
    assert (without.device, without.compute_capability) == ("cuda:1", None)
    gpus.present = cudaError_t.cudaErrorNoDevice
    assert choose_runtime(plain, "auto", 1, None).device == "cpu"


@pytest.mark.parametrize(
    ("installed", "held"),
    [
        (
            {"onnxruntime": "1.32.0"},
            "holds onnxruntime 1.32.0, which computes on the CPU only; run: pip uninstall",
        ),
        (
            {"onnxruntime": "1.32.0", "onnxruntime-gpu": "1.31.1"},
            "holds onnxruntime 1.32.0 on top of onnxruntime-gpu 1.31.1: both provide one module",
        ),
        ({"onnxruntime-gpu": "1.31.1"}, "holds onnxruntime-gpu 1.31.1, but another module onnxruntime is found first"),
        ({}, "holds a build without CUDA"),
    ],
)
def test_the_wrong_package_is_told_with_the_commands_that_mend_it(
    gpus: FakeCuda, tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch, installed: dict[str, str], held: str
) -> None:
    def version(package: str) -> str:
        if package not in installed:
            raise metadata.PackageNotFoundError(package)
        return installed[package]

    monkeypatch.setattr("engine.runtime.ort_package.version", version)
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CPUExecutionProvider"])
    with pytest.raises(DeviceUnavailable) as refused:
        open_engine(tiny_bundle, EngineSettings(1, device="cuda"))
    assert f"ONNX Runtime cannot use Fake RTX 3090: the environment {held}" in str(refused.value)
    assert "pip install 'onnxruntime-gpu[cuda,cudnn]'" in str(refused.value)


def test_each_graph_holds_its_own_weights_on_a_gpu(tiny_bundle: Path) -> None:
    manifest = parse_manifest(tiny_bundle)
    shared, own = (
        plan_memory(manifest, None, None, shares_weights=shares).plans[0].stages[0].weight_bytes
        for shares in (True, False)
    )
    assert own > shared
    assert default_budget_bytes(None) is None
    assert default_budget_bytes(None, 80 * 10**9) == int((80 * 10**9 - 57 * 2**30 // 50) * 0.75)
