"""Memory and utilisation of the engine's GPU, read through NVML.

``nvidia-ml-py`` comes with the extra ``tensorrt``. Without the library or without a driver there are no GPUs and no
metrics of them. NVML needs no CUDA context, so reading a GPU takes no memory on it.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Any

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Gpu:
    """A GPU by index and name; each function reads the GPU when it is called, and returns NaN where the GPU is gone.

    Bytes count the use of all processes. ``utilization_ratio`` is the share of the last sampling
    period, 1/6 s to 1 s, in which any kernel ran (NVML, ``nvmlDeviceGetUtilizationRates``), 0..1.
    """

    index: int
    name: str
    used_bytes: Callable[[], float]
    total_bytes: Callable[[], float]
    utilization_ratio: Callable[[], float]


def nvml_gpus(uuid: str = "") -> list[Gpu]:
    """The GPU of that UUID, or every GPU of this machine if it is empty or unknown to NVML.

    Only the UUID names a GPU to both libraries: CUDA counts the GPUs that ``CUDA_VISIBLE_DEVICES`` leaves, the fastest
    first; NVML counts all of them, by their place on the bus.
    """
    try:
        import pynvml
    except ImportError:
        return []
    return gpus_of(pynvml, uuid)


def gpus_of(nvml: ModuleType, uuid: str = "") -> list[Gpu]:
    """Like ``nvml_gpus``, of a library with the interface of ``pynvml``."""
    try:
        nvml.nvmlInit()
        gpu = _gpu_by_uuid(nvml, uuid)
        if gpu is not None:
            return [gpu]
        handles = [nvml.nvmlDeviceGetHandleByIndex(index) for index in range(nvml.nvmlDeviceGetCount())]
        return [_gpu(nvml, index, handle) for index, handle in enumerate(handles)]
    except nvml.NVMLError as error:
        _logger.debug("no metrics of GPUs", extra={"fields": {"cause": str(error)}})
        return []


def _gpu_by_uuid(nvml: ModuleType, uuid: str) -> Gpu | None:
    """A GPU or MIG instance; the index of an instance is that of its GPU."""
    if not uuid:
        return None
    try:
        handle = nvml.nvmlDeviceGetHandleByUUID(uuid)
        is_instance = uuid.startswith("MIG-")
        whole = nvml.nvmlDeviceGetDeviceHandleFromMigDeviceHandle(handle) if is_instance else handle
        return _gpu(nvml, int(nvml.nvmlDeviceGetIndex(whole)), handle)
    except nvml.NVMLError as error:
        _logger.debug("NVML does not know the engine's GPU", extra={"fields": {"uuid": uuid, "cause": str(error)}})
        return None


def _gpu(nvml: ModuleType, index: int, handle: Any) -> Gpu:
    def reader(read: Callable[[], float]) -> Callable[[], float]:
        def read_or_nan() -> float:
            try:
                return read()
            except nvml.NVMLError:  # a GPU that fell off the bus must not take the other metrics with it
                return math.nan

        return read_or_nan

    return Gpu(
        index,
        str(nvml.nvmlDeviceGetName(handle)),
        used_bytes=reader(lambda: float(nvml.nvmlDeviceGetMemoryInfo(handle).used)),
        total_bytes=reader(lambda: float(nvml.nvmlDeviceGetMemoryInfo(handle).total)),
        utilization_ratio=reader(lambda: nvml.nvmlDeviceGetUtilizationRates(handle).gpu / 100),
    )
