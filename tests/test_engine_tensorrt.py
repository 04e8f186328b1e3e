"""The TensorRT runtime without a GPU: ``fake_cuda`` provides the memory, ``fake_tensorrt`` computes.

``tests/gpu`` tests what needs a real GPU.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine import open_engine
from engine.api.cancellation import CancelFlag
from engine.api.errors import BundleInvalid, DeviceUnavailable, GraphFailed, OutOfMemory
from engine.api.events import FrameReady
from engine.api.job import Job, SamplingSpec, VideoSpec
from engine.api.media import Image
from engine.api.settings import EngineSettings
from engine.bundle.folder import MANIFEST_NAME, file_sha256, parse_manifest
from engine.bundle.graph_spec import EngineSpec, GraphSpec
from engine.bundle.manifest import FileSpec
from engine.runtime import cuda
from engine.runtime.choice import choose_runtime
from engine.runtime.device_tensor import DeviceTensor
from engine.runtime.ort import OrtRuntime
from engine.runtime.trt import TrtRuntime
from tests import fake_tensorrt
from tests.fake_cuda import FakeCuda, cudaError_t

_COMPILER = "tests.fake_tensorrt"
_WEIGHT_BYTES = 100_000


@pytest.fixture
def card(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeCuda]:
    fake = FakeCuda()
    _install(fake, monkeypatch)
    yield fake
    cuda.cudart.cache_clear()


def _install(fake: object, monkeypatch: pytest.MonkeyPatch) -> None:
    import cuda.bindings

    monkeypatch.setattr(cuda.bindings, "runtime", fake, raising=False)
    monkeypatch.setitem(sys.modules, "cuda.bindings.runtime", fake)
    from engine.runtime.cuda import cudart

    cudart.cache_clear()


@pytest.fixture
def bundle(tiny_bundle: Path, tmp_path: Path) -> Path:
    """The tiny bundle with a plan for each graph."""
    folder = shutil.copytree(tiny_bundle, tmp_path / "bundle")
    manifest = parse_manifest(folder)
    graphs, files = [], dict(manifest.files)
    for graph in manifest.graphs:
        plan = folder / f"{graph.file}.sm_86.plan"
        fake_tensorrt.write_plan(plan, folder / graph.file, _WEIGHT_BYTES)
        graphs.append(graph.model_copy(update={"engines": (_engine(plan.name),)}))
        files[plan.name] = FileSpec(sha256=file_sha256(plan), byte_count=plan.stat().st_size)
    manifest = manifest.model_copy(update={"graphs": tuple(graphs), "files": files})
    (folder / MANIFEST_NAME).write_text(manifest.model_dump_json())
    return folder


def _engine(file: str, **changes: Any) -> EngineSpec:
    fields: dict[str, Any] = {
        "file": file,
        "compute_capability": "sm_86",
        "compiler": _COMPILER,
        "compiler_version": fake_tensorrt.__version__,
        "activation_bytes": fake_tensorrt.SCRATCH_BYTES,
        "weight_bytes": _WEIGHT_BYTES,
        "plan_bytes": 1,
        "build_seconds": 0.0,
        "host_peak_bytes": 0,
    }
    return EngineSpec(**{**fields, **changes})


def _graph(bundle: Path, stage: str) -> GraphSpec:
    return next(graph for graph in parse_manifest(bundle).graphs if graph.stage == stage)


def _change(bundle: Path, stage: str, **changes: Any) -> GraphSpec:
    graph = _graph(bundle, stage)
    return graph.model_copy(update={"engines": tuple(item.model_copy(update=changes) for item in graph.engines)})


def _runtime(tmp_path: Path) -> TrtRuntime:
    return TrtRuntime(_COMPILER, tmp_path / "kernels")


def _latent(spec: GraphSpec) -> np.ndarray[Any, np.dtype[np.float32]]:
    shape = tuple(int(axis) for axis in spec.inputs[0].shape)
    return np.random.default_rng(1).standard_normal(shape, dtype=np.float32)


def _decode(runtime: TrtRuntime | OrtRuntime, graph: Any, latent: np.ndarray[Any, Any]) -> dict[str, Any]:
    outputs = {item.name: runtime.zeros(item.shape, item.dtype) for item in graph.spec.outputs}
    graph.run({graph.spec.inputs[0].name: runtime.upload(latent)}, outputs)
    return {name: tensor.to_host() for name, tensor in outputs.items()}


def test_a_clip_is_the_same_as_on_the_other_runtime(
    card: FakeCuda, bundle: Path, tmp_path: Path, png: Callable[..., bytes]
) -> None:
    job = Job(
        image=Image(png(64, 48)),
        prompt="a cat jumps",
        sampling=SamplingSpec(seed=3, step_count=3, guidance_scale=2.0),
        video=VideoSpec(width_px=64, height_px=48, frame_count=9),
    )
    clips, names = [], []
    for runtime in ("tensorrt", "onnxruntime"):
        engine = open_engine(bundle, EngineSettings(1, runtime=runtime, kernel_cache_folder=tmp_path))
        names.append(engine.capabilities().runtime)
        events = list(engine.generate(engine.prepare(job), CancelFlag()))
        clips.append(np.stack([event.pixels for event in events if isinstance(event, FrameReady)]))
        engine.close()
    assert names[0] == f"{_COMPILER} 9.9.9 Fake RTX 3090 (sm_86)"
    assert names[1].startswith("onnxruntime")
    assert clips[0].shape == (9, 48, 64, 3)
    assert np.abs(clips[0].astype(int) - clips[1]).max() <= 1


def test_unloading_frees_the_weights_and_a_call_brings_them_back(card: FakeCuda, bundle: Path, tmp_path: Path) -> None:
    runtime = _runtime(tmp_path)
    before = card.used_bytes
    graph = runtime.load(bundle, _graph(bundle, "vae_decoder_init"))
    assert card.used_bytes - before == _WEIGHT_BYTES
    latent = _latent(graph.spec)
    first = _decode(runtime, graph, latent)
    graph.unload()
    graph.unload()
    assert card.used_bytes - before == fake_tensorrt.SCRATCH_BYTES - 1  # the scratch was one byte before
    second = _decode(runtime, graph, latent)
    assert all(np.array_equal(first[name], second[name]) for name in first)
    assert runtime.memory_bytes() == card.used_bytes
    assert runtime.peak_memory_bytes() > card.used_bytes


def test_prefetched_weights_are_there_before_the_call(card: FakeCuda, bundle: Path, tmp_path: Path) -> None:
    runtime = _runtime(tmp_path)
    graph = runtime.load(bundle, _graph(bundle, "vae_decoder_init"))
    graph.unload()
    before = card.used_bytes
    graph.prefetch()
    graph.prefetch()
    runtime._loader.submit(lambda: None).result(30)  # the one loading thread is through
    assert card.used_bytes - before == _WEIGHT_BYTES
    _decode(runtime, graph, _latent(graph.spec))
    graph.prefetch()
    graph.unload()
    assert card.used_bytes == before + fake_tensorrt.SCRATCH_BYTES - 1


def test_a_failed_prefetch_is_told_by_the_call_and_does_not_last(card: FakeCuda, bundle: Path, tmp_path: Path) -> None:
    runtime = _runtime(tmp_path)
    graph = runtime.load(bundle, _graph(bundle, "vae_decoder_init"))
    graph.unload()
    card.memory_bytes = card.used_bytes + _WEIGHT_BYTES // 2
    graph.prefetch()
    runtime._loader.submit(lambda: None).result(30)
    card.memory_bytes = 24 * 2**30
    latent = _latent(graph.spec)
    with pytest.raises(OutOfMemory, match="the GPU ran out of memory"):
        _decode(runtime, graph, latent)
    _decode(runtime, graph, latent)


def test_the_last_reference_frees_a_graph(card: FakeCuda, bundle: Path, tmp_path: Path) -> None:
    runtime = _runtime(tmp_path)
    before = card.used_bytes
    graph = runtime.load(bundle, _graph(bundle, "vae_decoder_init"))
    graph.unload()
    graph.prefetch()
    runtime._loader.submit(lambda: None).result(30)
    del graph
    assert card.used_bytes == before


def test_plans_share_one_scratch_buffer(card: FakeCuda, bundle: Path, tmp_path: Path) -> None:
    runtime = _runtime(tmp_path)
    before = card.used_bytes
    for stage in ("vae_decoder_init", "vae_encoder_init"):
        graph = runtime.load(bundle, _graph(bundle, stage))
        _decode(runtime, graph, _latent(graph.spec))
        del graph
    assert card.used_bytes == before + fake_tensorrt.SCRATCH_BYTES - 1


def test_classic_tensorrt_opens_a_plan_again(
    card: FakeCuda, bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class ClassicRuntime(fake_tensorrt.Runtime):
        def __init__(self, logger: fake_tensorrt.ILogger) -> None:
            super().__init__(logger)
            del self.defer_weights_loading

        def deserialize_cuda_engine(self, content: Any) -> fake_tensorrt.Engine | None:
            self.defer_weights_loading = False
            try:
                return super().deserialize_cuda_engine(content)
            finally:
                del self.defer_weights_loading

    monkeypatch.setattr(fake_tensorrt, "Runtime", ClassicRuntime)
    monkeypatch.delattr(fake_tensorrt, "IRuntimeCache")
    monkeypatch.setattr(ClassicRuntime, "opened", [])
    runtime = _runtime(tmp_path)
    before = card.used_bytes
    graph = runtime.load(bundle, _graph(bundle, "vae_decoder_init"))
    first = _decode(runtime, graph, _latent(graph.spec))
    graph.unload()
    assert card.used_bytes == before + fake_tensorrt.SCRATCH_BYTES - 1
    second = _decode(runtime, graph, _latent(graph.spec))
    assert all(np.array_equal(first[name], second[name]) for name in first)
    assert ClassicRuntime.opened == [graph.spec.file] * 2
    runtime.close()
    assert not (tmp_path / "kernels").exists()


def test_kernels_are_kept_for_the_next_start(card: FakeCuda, bundle: Path, tmp_path: Path) -> None:
    for _ in range(2):
        runtime = _runtime(tmp_path)
        graph = runtime.load(bundle, _graph(bundle, "vae_decoder_init"))
        _decode(runtime, graph, _latent(graph.spec))
        runtime.close()
        (file,) = (tmp_path / "kernels").iterdir()
        assert file.name == f"{_COMPILER}-9.9.9-sm_86.kernels"
        assert json.loads(file.read_bytes()) == [graph.spec.file]
    file.write_bytes(b"damaged")
    runtime = _runtime(tmp_path)
    graph = runtime.load(bundle, graph.spec)
    _decode(runtime, graph, _latent(graph.spec))
    runtime.close()
    assert json.loads(file.read_bytes()) == [graph.spec.file]


def test_a_cache_folder_that_cannot_be_written_is_a_warning(
    card: FakeCuda, bundle: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "kernels").write_bytes(b"a file, no folder")
    runtime = _runtime(tmp_path)
    graph = runtime.load(bundle, _graph(bundle, "vae_decoder_init"))
    _decode(runtime, graph, _latent(graph.spec))
    runtime.close()
    assert "cannot be written: File exists" in caplog.text


@pytest.mark.parametrize("dtype", ["float32", "float16", "int64"])
def test_arrays_come_back_as_they_went(card: FakeCuda, tmp_path: Path, dtype: str) -> None:
    runtime = _runtime(tmp_path)
    array = (np.arange(24).reshape(4, 6) - 7).astype(dtype).T
    assert not array.flags.c_contiguous
    back = runtime.upload(array).to_host()
    assert back.dtype == array.dtype
    assert np.array_equal(back, array)
    assert not runtime.zeros((3, 2), dtype).to_host().any()  # type: ignore[arg-type]


def test_bfloat16_comes_back_as_float32(card: FakeCuda, tmp_path: Path) -> None:
    tensor = DeviceTensor((2,), "bfloat16", _runtime(tmp_path).stream)
    halves = np.array([1.5, -0.25], np.float32).view(np.uint32) >> 16
    source = halves.astype(np.uint16)
    tensor._stream.to_device(tensor._buffer, source.ctypes.data, 4)
    assert tensor.to_host().tolist() == [1.5, -0.25]


def test_other_dtypes_are_not_uploaded(card: FakeCuda, tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="arrays of float64 are not uploaded"):
        _runtime(tmp_path).upload(np.zeros(2))


def test_wrong_calls_name_the_tensor(card: FakeCuda, bundle: Path, tmp_path: Path) -> None:
    runtime = _runtime(tmp_path)
    graph = runtime.load(bundle, _graph(bundle, "vae_decoder_init"))
    spec, name = graph.spec, graph.spec.inputs[0].name
    outputs = {item.name: runtime.zeros(tuple(map(int, item.shape)), item.dtype) for item in spec.outputs}
    good = runtime.upload(_latent(spec))
    with pytest.raises(GraphFailed, match=rf"plan and call differ in {name}"):
        graph.run({}, outputs)
    with pytest.raises(GraphFailed, match=rf"{name} is float16, not DataType.FLOAT"):
        graph.run({name: runtime.zeros((1,), "float16")}, outputs)
    with pytest.raises(GraphFailed, match=rf"{name} cannot have the shape \[1\]: {name} must be"):
        graph.run({name: runtime.zeros((1,))}, outputs)
    target = spec.outputs[0].name
    with pytest.raises(GraphFailed, match=rf"{target} has the shape \[.*\], not \[2\]"):
        graph.run({name: good}, {**outputs, target: runtime.zeros((2,))})
    with pytest.raises(TypeError, match="of another runtime"):
        graph.run({name: OrtRuntime(1).upload(_latent(spec))}, outputs)


def test_a_card_too_small_for_a_buffer(card: FakeCuda, tmp_path: Path) -> None:
    runtime = _runtime(tmp_path)
    card.memory_bytes = card.used_bytes + 1023
    with pytest.raises(OutOfMemory, match="the GPU ran out of memory; free it of other work"):
        runtime.zeros((256,))


def test_a_card_too_small_for_the_weights(card: FakeCuda, bundle: Path, tmp_path: Path) -> None:
    runtime = _runtime(tmp_path)
    card.memory_bytes = card.used_bytes + _WEIGHT_BYTES - 1
    with pytest.raises(OutOfMemory, match="serve a lower precision"):
        runtime.load(bundle, _graph(bundle, "vae_decoder_init"))


def test_a_plan_of_another_compiler_version(card: FakeCuda, bundle: Path, tmp_path: Path) -> None:
    spec = _change(bundle, "vae_decoder_init", compiler_version="9.9.8")
    with pytest.raises(BundleInvalid) as refused:
        _runtime(tmp_path).load(bundle, spec)
    assert str(refused.value) == (
        f"{spec.file}.sm_86.plan was compiled by {_COMPILER} 9.9.8, this machine has {_COMPILER} 9.9.9, and a plan "
        f"runs only on the version that compiled it; install tests.fake-tensorrt==9.9.8, or export the checkpoint again"
    )


@pytest.mark.parametrize(
    ("plan", "fault"),
    [
        ({"version": "9.9.8"}, "another version of TensorRT compiled it; install that version"),
        ({"capability": "sm_89"}, "it was compiled for another GPU; export the checkpoint for this one"),
    ],
)
def test_a_plan_that_is_not_what_the_manifest_says(
    card: FakeCuda, bundle: Path, tmp_path: Path, plan: dict[str, str], fault: str
) -> None:
    spec = _graph(bundle, "vae_decoder_init")
    file = bundle / spec.engines[0].file
    fake_tensorrt.write_plan(file, bundle / spec.file, 1, **plan)
    with pytest.raises(BundleInvalid, match=f"{file} cannot be used here: {fault}"):
        _runtime(tmp_path).load(bundle, spec)


def test_a_plan_that_is_none_or_missing(card: FakeCuda, bundle: Path, tmp_path: Path) -> None:
    spec = _graph(bundle, "vae_decoder_init")
    file = bundle / spec.engines[0].file
    file.write_bytes(b"no plan")
    with pytest.raises(BundleInvalid, match="cannot be used here: it is no plan of this library"):
        _runtime(tmp_path).load(bundle, spec)
    file.write_bytes(b"")
    with pytest.raises(BundleInvalid, match=f"{file} is empty; copy the bundle again, whole"):
        _runtime(tmp_path).load(bundle, spec)
    file.unlink()
    with pytest.raises(BundleInvalid, match=f"cannot read {file}: No such file or directory; copy the bundle again"):
        _runtime(tmp_path).load(bundle, spec)


def test_a_plan_that_does_not_open_tells_the_librarys_reason(card: FakeCuda, bundle: Path, tmp_path: Path) -> None:
    spec = _graph(bundle, "vae_decoder_init")
    (bundle / spec.file).unlink()
    with pytest.raises(BundleInvalid, match="it could not be opened: the graph behind this plan is gone"):
        _runtime(tmp_path).load(bundle, spec)


def test_a_compiler_that_is_not_installed(card: FakeCuda, tmp_path: Path) -> None:
    with pytest.raises(DeviceUnavailable, match=r"tensorrt_absent cannot be imported .* pip install"):
        TrtRuntime("tensorrt_absent", tmp_path)


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (
            cudaError_t.cudaErrorInsufficientDriver,
            "no NVIDIA driver, or one too old for CUDA 13.5; install or update it",
        ),
        (cudaError_t.cudaErrorNoDevice, "no NVIDIA GPU can be used: no GPU; see `nvidia-smi`"),
        (cudaError_t.cudaErrorInvalidValue, "no NVIDIA GPU can be used: text of cudaErrorInvalidValue"),
    ],
)
def test_no_driver_or_no_card(
    card: FakeCuda, bundle: Path, tmp_path: Path, status: cudaError_t, message: str, caplog: pytest.LogCaptureFixture
) -> None:
    card.present = status
    settings = EngineSettings(1, runtime="tensorrt", kernel_cache_folder=tmp_path)
    with pytest.raises(DeviceUnavailable) as refused:
        open_engine(bundle, settings)
    assert str(refused.value).startswith(message)
    engine = open_engine(bundle, EngineSettings(1))
    assert engine.capabilities().runtime.startswith("onnxruntime")
    assert f"the bundle's TensorRT engines are not used, its graphs run on the CPU: {message}" in caplog.text
    engine.close()


def test_cuda_python_missing(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cuda.bindings", None)
    cuda.cudart.cache_clear()
    with pytest.raises(DeviceUnavailable, match="cuda-python cannot be imported"):
        open_engine(bundle, EngineSettings(1, runtime="tensorrt"))
    cuda.cudart.cache_clear()


def test_auto_takes_tensorrt_where_it_can(card: FakeCuda, bundle: Path, tmp_path: Path) -> None:
    engine = open_engine(bundle, EngineSettings(1, kernel_cache_folder=tmp_path))
    assert engine.capabilities().runtime.startswith(_COMPILER)
    engine.close()


def test_a_bundle_for_other_cards(card: FakeCuda, bundle: Path, tmp_path: Path) -> None:
    content = json.loads((bundle / MANIFEST_NAME).read_bytes())
    for graph in content["graphs"]:
        graph["engines"][0]["compute_capability"] = "sm_89"
    (bundle / MANIFEST_NAME).write_text(json.dumps(content))
    with pytest.raises(DeviceUnavailable, match=r"has plans for sm_89, none for Fake RTX 3090 \(sm_86\); export"):
        open_engine(bundle, EngineSettings(1, runtime="tensorrt"))


def test_a_graph_for_another_card_may_stand_beside(card: FakeCuda, bundle: Path, tmp_path: Path) -> None:
    """One stage in two precisions, each compiled for the card that has it."""
    manifest = parse_manifest(bundle)
    graph = _graph(bundle, "text_encoder")
    other = graph.model_copy(
        update={
            "file": "text_encoder.fp8.onnx",
            "precision": "fp8",
            "engines": (_engine("text_encoder.fp8.plan", compute_capability="sm_89"),),
        }
    )
    both = manifest.model_copy(update={"graphs": (other, *manifest.graphs)})
    assert choose_runtime(both, "tensorrt", 1, tmp_path).compute_capability == "sm_86"
    alone = (other, *(item for item in manifest.graphs if item.stage != "text_encoder"))
    with pytest.raises(DeviceUnavailable, match=r"text_encoder.fp8.onnx has plans for sm_89, none for"):
        choose_runtime(manifest.model_copy(update={"graphs": alone}), "tensorrt", 1, tmp_path)


def test_a_bundle_without_plans(tiny_bundle: Path) -> None:
    with pytest.raises(BundleInvalid, match="holds no TensorRT engines; export the checkpoint with --gpu"):
        open_engine(tiny_bundle, EngineSettings(1, runtime="tensorrt"))
    engine = open_engine(tiny_bundle, EngineSettings(1))
    assert engine.capabilities().runtime.startswith("onnxruntime")
    engine.close()
