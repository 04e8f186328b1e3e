"""The choice of a bundle's runtime: by GPU, driver, installed libraries and the plans in the bundle."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from engine import open_engine
from engine.api.errors import BundleInvalid, DeviceUnavailable
from engine.api.settings import EngineSettings
from engine.bundle.folder import MANIFEST_NAME, parse_manifest
from engine.runtime import cuda
from engine.runtime.base import GraphNotLoaded
from engine.runtime.choice import choose_runtime
from engine.runtime.ort import OrtRuntime
from engine.runtime.trt import TrtRuntime
from tests.fake_cuda import FakeCuda, cudaError_t
from tests.planned_bundles import COMPILER, engine_spec, graph_of


def test_a_compiler_that_is_not_installed(fake_gpu: FakeCuda, tmp_path: Path) -> None:
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
    fake_gpu: FakeCuda,
    planned_bundle: Path,
    tmp_path: Path,
    status: cudaError_t,
    message: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    fake_gpu.present = status
    settings = EngineSettings(1, runtime="tensorrt", kernel_cache_folder=tmp_path)
    with pytest.raises(DeviceUnavailable) as refused:
        open_engine(planned_bundle, settings)
    assert str(refused.value).startswith(message)
    engine = open_engine(planned_bundle, EngineSettings(1))
    assert engine.capabilities().runtime.startswith("onnxruntime")
    assert f"the bundle's TensorRT engines are not used, its graphs run on the CPU: {message}" in caplog.text
    engine.close()


def test_a_bundle_that_only_a_gpu_can_run_names_the_gpu_first(
    fake_gpu: FakeCuda, planned_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """INT4 bundles hold bfloat16, for which ONNX Runtime has no kernels on the CPU."""

    def load(*_: object) -> None:
        raise GraphNotLoaded("cannot load text_encoder.onnx: no such kernel")

    monkeypatch.setattr(OrtRuntime, "load", load)
    fake_gpu.present = cudaError_t.cudaErrorNoDevice
    with pytest.raises(BundleInvalid) as refused:
        open_engine(planned_bundle, EngineSettings(1))
    assert str(refused.value) == (
        "no NVIDIA GPU can be used: no GPU; see `nvidia-smi`, in a container give --gpus all; "
        "on the CPU: cannot load text_encoder.onnx: no such kernel"
    )
    with pytest.raises(BundleInvalid, match=r"^cannot load text_encoder"):
        open_engine(planned_bundle, EngineSettings(1, runtime="onnxruntime"))


def test_cuda_python_missing(planned_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cuda.bindings", None)
    cuda.cudart.cache_clear()
    with pytest.raises(DeviceUnavailable, match="cuda-python cannot be imported"):
        open_engine(planned_bundle, EngineSettings(1, runtime="tensorrt"))
    cuda.cudart.cache_clear()


def test_auto_takes_tensorrt_where_it_can(fake_gpu: FakeCuda, planned_bundle: Path, tmp_path: Path) -> None:
    engine = open_engine(planned_bundle, EngineSettings(1, kernel_cache_folder=tmp_path))
    assert engine.capabilities().runtime.startswith(COMPILER)
    engine.close()


def test_a_bundle_for_other_cards(fake_gpu: FakeCuda, planned_bundle: Path, tmp_path: Path) -> None:
    content = json.loads((planned_bundle / MANIFEST_NAME).read_bytes())
    for graph in content["graphs"]:
        graph["engines"][0]["compute_capability"] = "sm_89"
    (planned_bundle / MANIFEST_NAME).write_text(json.dumps(content))
    with pytest.raises(DeviceUnavailable, match=r"has plans for sm_89, none for Fake RTX 3090 \(sm_86\); export"):
        open_engine(planned_bundle, EngineSettings(1, runtime="tensorrt"))


def test_a_graph_for_another_card_may_stand_beside(fake_gpu: FakeCuda, planned_bundle: Path, tmp_path: Path) -> None:
    """One stage in two precisions, each compiled for the card that has it."""
    manifest = parse_manifest(planned_bundle)
    graph = graph_of(planned_bundle, "text_encoder")
    other = graph.with_changes(
        file="text_encoder.fp8.onnx",
        precision="fp8",
        engines=(engine_spec("text_encoder.fp8.plan", compute_capability="sm_89"),),
    )
    both = manifest.with_changes(graphs=(other, *manifest.graphs))
    assert choose_runtime(both, "tensorrt", 1, tmp_path).compute_capability == "sm_86"
    alone = (other, *(item for item in manifest.graphs if item.stage != "text_encoder"))
    with pytest.raises(DeviceUnavailable, match=r"text_encoder.fp8.onnx has plans for sm_89, none for"):
        choose_runtime(manifest.with_changes(graphs=alone), "tensorrt", 1, tmp_path)


def test_a_bundle_without_plans(tiny_bundle: Path) -> None:
    with pytest.raises(BundleInvalid, match="holds no TensorRT engines; export the checkpoint with --gpu"):
        open_engine(tiny_bundle, EngineSettings(1, runtime="tensorrt"))
    engine = open_engine(tiny_bundle, EngineSettings(1))
    assert engine.capabilities().runtime.startswith("onnxruntime")
    engine.close()
