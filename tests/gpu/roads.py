"""The runtimes that this machine offers for a device. Each test on a GPU runs on every one of them.

TensorRT for RTX knows RTX cards alone; ONNX Runtime on CUDA runs datacentre cards too. On the CPU, where the tests are
only tried, there is ONNX Runtime.
"""

from __future__ import annotations

import importlib
import os
import platform
from dataclasses import dataclass
from pathlib import Path

from engine.api.errors import DeviceUnavailable
from engine.api.settings import EngineSettings, RuntimeName
from engine.bundle.folder import parse_manifest
from engine.runtime.base import Runtime
from engine.runtime.choice import choose_runtime
from engine.runtime.gpu import Gpu, present_gpu
from engine.runtime.ort_package import has_cuda, missing_cuda

COMPILER = "tensorrt_rtx"
DEVICE_VARIABLE = "STILLCUE_GPU_TESTS_DEVICE"
POCKET = Path(__file__).resolve().parents[2] / "pocket" / "model"


@dataclass(frozen=True)
class Road:
    """A runtime on a device, ``cuda`` or ``cpu``."""

    runtime: RuntimeName
    device: str

    def __str__(self) -> str:
        return f"{self.runtime}-{self.device}"

    def engine_settings(self, cache_folder: Path) -> EngineSettings:
        """Settings of an engine on this road."""
        return EngineSettings(runtime=self.runtime, device=self.device, kernel_cache_folder=cache_folder)

    def open_runtime(self, cache_folder: Path) -> Runtime:
        """A runtime with its compiled kernels in the folder."""
        if self.runtime == "tensorrt":
            from engine.runtime.trt import TrtRuntime

            return TrtRuntime(COMPILER, cache_folder, present_gpu())
        return choose_runtime(parse_manifest(POCKET), "onnxruntime", 0, cache_folder, self.device).runtime


@dataclass(frozen=True)
class Offer:
    """The card and the roads to it; ``faults`` says of every other road why it is none."""

    card: Gpu
    roads: tuple[Road, ...]
    faults: tuple[str, ...] = ()


def find_offer(device: str) -> Offer:
    """What this machine offers. Raises ``DeviceUnavailable`` without a GPU."""
    if device == "cpu":
        memory_bytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        return Offer(Gpu(platform.processor() or "CPU", "none", memory_bytes, "none"), (Road("onnxruntime", "cpu"),))
    card = present_gpu()
    faults = {"tensorrt": _tensorrt_fault(card), "onnxruntime": "" if has_cuda() else missing_cuda()}
    names: tuple[RuntimeName, ...] = ("tensorrt", "onnxruntime")
    return Offer(
        card,
        tuple(Road(name, device) for name in names if not faults[name]),
        tuple(f"{name}: {fault}" for name, fault in faults.items() if fault),
    )


def offer_of_this_run() -> Offer | None:
    """The offer of the device that ``python -m tests.gpu`` names, by default a GPU; None without one."""
    try:
        return find_offer(os.environ.get(DEVICE_VARIABLE, "cuda"))
    except DeviceUnavailable:
        return None


def _tensorrt_fault(card: Gpu) -> str:
    try:
        compiler = importlib.import_module(COMPILER)
    except ImportError as error:
        return f"{error}; install the extra tensorrt"
    known = card.compute_capability.replace("sm_", "SM")
    if not hasattr(compiler.ComputeCapability, known):
        return f"{COMPILER} {compiler.__version__} does not compile for {card.compute_capability}"
    return ""
