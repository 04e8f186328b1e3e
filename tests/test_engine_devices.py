"""Which GPU an engine uses: by index or UUID, in every thread, and never the CPU where a GPU was named."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from engine import open_engine
from engine.api.cancellation import CancelFlag
from engine.api.errors import BundleInvalid, DeviceUnavailable
from engine.api.events import JobDone
from engine.api.job import Job, SamplingSpec, VideoSpec
from engine.api.media import Image
from engine.api.settings import EngineSettings
from engine.runtime.cuda import cudart
from engine.runtime.gpu import find_gpu
from tests.fake_cuda import FakeCuda, FakeDevice, cudaError_t
from tests.planned_bundles import COMPILER, install_fake_gpu

FIRST, SECOND, THIRD = (f"{start}-0000-0000-0000-000000000000" for start in ("11111111", "1111aaaa", "33333333"))
SEEN = (
    f"cuda:0, Fake RTX 4090 (sm_89, GPU-{FIRST}); cuda:1, Fake RTX 3090 (sm_86, GPU-{SECOND}); "
    f"cuda:2, Fake A100 MIG 1g.5gb (sm_80, MIG-{THIRD})"
)


@pytest.fixture
def gpus(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeCuda]:
    """A host with three GPUs, of which the second can run the planned bundle."""
    fake = FakeCuda(
        devices=(
            FakeDevice("Fake RTX 4090", FIRST, 8, 9),
            FakeDevice("Fake RTX 3090", SECOND, 8, 6),
            FakeDevice("Fake A100 MIG 1g.5gb", THIRD, 8, 0),
        )
    )
    install_fake_gpu(fake, monkeypatch)
    yield fake
    cudart.cache_clear()


@pytest.mark.parametrize(
    ("device", "index"),
    [
        ("cuda", 0),
        ("cuda:1", 1),
        (f"cuda:GPU-{SECOND}", 1),
        ("cuda:GPU-1111A", 1),
        ("cuda:GPU-11111", 0),
        ("cuda:MIG-3", 2),
    ],
)
def test_a_gpu_is_found_by_index_or_uuid(gpus: FakeCuda, device: str, index: int) -> None:
    assert find_gpu(device).index == index


@pytest.mark.parametrize(
    ("device", "fault"),
    [
        ("cuda:3", f"there is no cuda:3: this process sees {SEEN}; name one of these, or see CUDA_VISIBLE_DEVICES"),
        ("cuda:GPU-1111", f"2 GPUs have the UUID GPU-1111: it sees {SEEN}; name one of these"),
        ("cuda:GPU-4", f"no GPU of this process has the UUID GPU-4: it sees {SEEN}; name one of these"),
    ],
)
def test_a_gpu_that_is_not_there_is_told_with_those_that_are(gpus: FakeCuda, device: str, fault: str) -> None:
    with pytest.raises(DeviceUnavailable) as refused:
        find_gpu(device)
    assert str(refused.value).startswith(fault)


def test_a_clip_on_the_second_gpu_touches_no_other(
    gpus: FakeCuda, planned_bundle: Path, tmp_path: Path, png: Callable[..., bytes], caplog: pytest.LogCaptureFixture
) -> None:
    """Plans open in threads of a pool, weights load in another thread, and the clip is made in this one."""
    caplog.set_level("INFO")
    settings = EngineSettings(1, kernel_cache_folder=tmp_path, device="cuda:GPU-1111a")
    engine = open_engine(planned_bundle, settings)
    capabilities = engine.capabilities()
    assert (capabilities.device, capabilities.gpu_uuid) == ("cuda:1", f"GPU-{SECOND}")
    assert f"the engine computes on cuda:1, Fake RTX 3090 (sm_86, GPU-{SECOND}) with {COMPILER} 9.9.9" in caplog.text
    job = Job(
        image=Image(png(64, 48)),
        prompt="a cat jumps",
        sampling=SamplingSpec(seed=3, step_count=2, guidance_scale=2.0),
        video=VideoSpec(width_px=64, height_px=48, frame_count=9),
    )
    assert isinstance(list(engine.generate(engine.prepare(job), CancelFlag()))[-1], JobDone)
    assert gpus.used_bytes_of(1) > 0
    assert [gpus.used_bytes_of(0), gpus.used_bytes_of(2)] == [0, 0]
    assert gpus.blocking_devices == {1}
    engine.close()


def test_the_cpu_serves_a_planned_bundle_where_it_is_named(gpus: FakeCuda, planned_bundle: Path) -> None:
    engine = open_engine(planned_bundle, EngineSettings(1, device="cpu"))
    capabilities = engine.capabilities()
    assert (capabilities.device, capabilities.gpu_uuid) == ("cpu", "")
    assert capabilities.runtime.startswith("onnxruntime")
    engine.close()
    with pytest.raises(BundleInvalid, match="TensorRT does not run on the device cpu; name a GPU as cuda"):
        open_engine(planned_bundle, EngineSettings(1, runtime="tensorrt", device="cpu"))


def test_a_gpu_that_is_named_is_never_replaced_by_the_cpu(
    gpus: FakeCuda, planned_bundle: Path, tiny_bundle: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(DeviceUnavailable, match=r"has plans for sm_86, none for Fake RTX 4090 \(sm_89\); export .*"):
        open_engine(planned_bundle, EngineSettings(1, device="cuda", runtime="tensorrt"))
    for device in ("cuda", "cuda:2"):
        with pytest.raises(DeviceUnavailable, match=r"has plans for sm_86, none for .*; or set the device to cpu$"):
            open_engine(planned_bundle, EngineSettings(1, device=device))
    with pytest.raises(
        DeviceUnavailable, match=r"^the bundle holds no TensorRT engines; .*; or set the device to cpu$"
    ):
        open_engine(tiny_bundle, EngineSettings(1, device="cuda:1"))
    gpus.present = cudaError_t.cudaErrorInsufficientDriver
    with pytest.raises(
        DeviceUnavailable, match=r"^no NVIDIA driver, or one too old for CUDA 13\.5; install or update it"
    ):
        open_engine(planned_bundle, EngineSettings(1, device="cuda:1"))
    assert "run on the CPU" not in caplog.text


def test_auto_is_the_first_gpu_if_it_can_else_the_cpu(
    gpus: FakeCuda, planned_bundle: Path, caplog: pytest.LogCaptureFixture
) -> None:
    engine = open_engine(planned_bundle, EngineSettings(1))
    assert engine.capabilities().device == "cpu"
    assert "its graphs run on the CPU" in caplog.text
    engine.close()
