"""TensorRT's runtime without a GPU: the values of clips and arrays, the cache of kernels, wrong calls.

``tests/gpu`` tests what needs a real GPU.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from engine import open_engine
from engine.api.cancellation import CancelFlag
from engine.api.errors import GraphFailed
from engine.api.events import FrameReady
from engine.api.job import Job, SamplingSpec, VideoSpec
from engine.api.media import Image
from engine.api.settings import EngineSettings
from engine.runtime.device_tensor import DeviceTensor
from engine.runtime.kernel_cache import default_cache_folder
from engine.runtime.ort import OrtRuntime
from engine.runtime.trt import TrtRuntime
from tests.fake_cuda import FakeCuda
from tests.planned_bundles import COMPILER, decode, graph_of, latent_of, runtime_in


def test_a_clip_is_the_same_as_on_the_other_runtime(
    fake_gpu: FakeCuda, planned_bundle: Path, tmp_path: Path, png: Callable[..., bytes]
) -> None:
    job = Job(
        image=Image(png(64, 48)),
        prompt="a cat jumps",
        sampling=SamplingSpec(seed=3, step_count=3, guidance_scale=2.0),
        video=VideoSpec(width_px=64, height_px=48, frame_count=9),
    )
    clips, names = [], []
    for runtime in ("tensorrt", "onnxruntime"):
        engine = open_engine(planned_bundle, EngineSettings(1, runtime=runtime, kernel_cache_folder=tmp_path))
        names.append(engine.capabilities().runtime)
        events = list(engine.generate(engine.prepare(job), CancelFlag()))
        clips.append(np.stack([event.pixels for event in events if isinstance(event, FrameReady)]))
        engine.close()
    assert names[0] == f"{COMPILER} 9.9.9 Fake RTX 3090 (sm_86)"
    assert names[1].startswith("onnxruntime")
    assert clips[0].shape == (9, 48, 64, 3)
    assert np.abs(clips[0].astype(int) - clips[1]).max() <= 1


@pytest.mark.parametrize("dtype", ["float32", "float16", "int64"])
def test_arrays_come_back_as_they_went(fake_gpu: FakeCuda, tmp_path: Path, dtype: str) -> None:
    runtime = runtime_in(tmp_path)
    array = (np.arange(24).reshape(4, 6) - 7).astype(dtype).T
    assert not array.flags.c_contiguous
    back = runtime.upload(array).to_host()
    assert back.dtype == array.dtype
    assert np.array_equal(back, array)
    assert not runtime.zeros((3, 2), dtype).to_host().any()  # type: ignore[arg-type]


def test_bfloat16_comes_back_as_float32(fake_gpu: FakeCuda, tmp_path: Path) -> None:
    tensor = DeviceTensor((2,), "bfloat16", runtime_in(tmp_path).stream)
    halves = np.array([1.5, -0.25], np.float32).view(np.uint32) >> 16
    source = halves.astype(np.uint16)
    tensor._stream.to_device(tensor.address, source.ctypes.data, 4)
    assert tensor.to_host().tolist() == [1.5, -0.25]


def test_other_dtypes_are_not_uploaded(fake_gpu: FakeCuda, tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="arrays of float64 are not uploaded"):
        runtime_in(tmp_path).upload(np.zeros(2))


def test_wrong_calls_name_the_tensor(fake_gpu: FakeCuda, planned_bundle: Path, tmp_path: Path) -> None:
    runtime = runtime_in(tmp_path)
    graph = runtime.load(planned_bundle, graph_of(planned_bundle, "vae_decoder_init"))
    spec, name = graph.spec, graph.spec.inputs[0].name
    outputs = {item.name: runtime.zeros(tuple(map(int, item.shape)), item.dtype) for item in spec.outputs}
    good = runtime.upload(latent_of(spec))
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
        graph.run({name: OrtRuntime(1).upload(latent_of(spec))}, outputs)


def test_kernels_are_kept_for_the_next_start(fake_gpu: FakeCuda, planned_bundle: Path, tmp_path: Path) -> None:
    for _ in range(2):
        runtime = runtime_in(tmp_path)
        graph = runtime.load(planned_bundle, graph_of(planned_bundle, "vae_decoder_init"))
        decode(runtime, graph, latent_of(graph.spec))
        runtime.close()
        (file,) = (tmp_path / "kernels").iterdir()
        assert file.name == f"{COMPILER}-9.9.9-sm_86-fake-rtx-3090.kernels"
        assert json.loads(file.read_bytes()) == [graph.spec.file]
    file.write_bytes(b"damaged")
    runtime = runtime_in(tmp_path)
    graph = runtime.load(planned_bundle, graph.spec)
    decode(runtime, graph, latent_of(graph.spec))
    runtime.close()
    assert json.loads(file.read_bytes()) == [graph.spec.file]


def test_a_cache_folder_that_cannot_be_written_is_told_and_warns_nobody(
    fake_gpu: FakeCuda, planned_bundle: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """As in a container whose root cannot be written."""
    caplog.set_level(logging.INFO)
    (tmp_path / "kernels").write_bytes(b"a file, no folder")
    runtime = runtime_in(tmp_path)
    graph = runtime.load(planned_bundle, graph_of(planned_bundle, "vae_decoder_init"))
    decode(runtime, graph, latent_of(graph.spec))
    runtime.close()
    (told,) = [record for record in caplog.records if "cannot be written: File exists" in record.getMessage()]
    assert told.levelno == logging.INFO


def test_a_user_without_a_home_keeps_no_kernels(
    fake_gpu: FakeCuda, planned_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_home() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(Path, "home", no_home)
    assert default_cache_folder() is None
    runtime = TrtRuntime(COMPILER, default_cache_folder())
    graph = runtime.load(planned_bundle, graph_of(planned_bundle, "vae_decoder_init"))
    decode(runtime, graph, latent_of(graph.spec))
    runtime.close()
