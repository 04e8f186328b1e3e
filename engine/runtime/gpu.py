"""Finds the GPU that a device setting names, and the compiled plan of a graph for it."""

from __future__ import annotations

import re
import uuid
from dataclasses import dataclass
from typing import Any

from engine.api.errors import DeviceUnavailable
from engine.bundle.graph_spec import EngineSpec, GraphSpec
from engine.runtime.cuda import Device, call, cudart, status_text

_UUID_KINDS = ("gpu-", "mig-")


@dataclass(frozen=True, slots=True)
class Gpu:
    """Properties of a GPU from the driver; ``compute_capability`` as ``sm_86``, memory in bytes.

    ``index`` counts the GPUs that ``CUDA_VISIBLE_DEVICES`` leaves; it is not the index of NVML or ``nvidia-smi``.
    ``uuid`` names the GPU, or the MIG instance of it, to every library.
    """

    name: str
    compute_capability: str
    memory_bytes: int
    driver_version: str
    index: int = 0
    uuid: str = ""

    @property
    def device(self) -> Device:
        """The GPU as CUDA sees it."""
        return Device(self.index)

    @property
    def slug(self) -> str:
        """The kind of GPU as part of a file name: ``sm_86-nvidia-geforce-rtx-3090``."""
        return f"{self.compute_capability}-{'-'.join(re.findall('[a-z0-9]+', self.name.lower()))}"

    def __str__(self) -> str:
        return f"cuda:{self.index}, {self.name} ({self.compute_capability}, {self.uuid})"


def present_gpu(index: int = 0) -> Gpu:
    """The GPU of that index. Raises ``DeviceUnavailable``, saying whether the driver or the GPU is missing."""
    count = _count()
    if index >= count:
        raise DeviceUnavailable(
            f"there is no cuda:{index}: this process sees {_listed([_gpu(each) for each in range(count)])}; name one "
            "of these, or see CUDA_VISIBLE_DEVICES"
        )
    return _gpu(index)


def find_gpu(device: str) -> Gpu:
    """The GPU of a device setting: ``cuda``, ``cuda:1``, or ``cuda:`` and a UUID or its unique beginning.

    Raises ``DeviceUnavailable``.
    """
    _, _, name = device.partition(":")
    if not name.lower().startswith(_UUID_KINDS):
        return present_gpu(int(name or 0))
    gpus = [_gpu(index) for index in range(_count())]
    wanted = name.lower()[len("gpu-") :]
    found = [gpu for gpu in gpus if gpu.uuid[len("GPU-") :].startswith(wanted)]
    if len(found) != 1:
        fault = "no GPU of this process has" if not found else f"{len(found)} GPUs have"
        raise DeviceUnavailable(
            f"{fault} the UUID {name}: it sees {_listed(gpus)}; name one of these, see `nvidia-smi -L` and "
            "CUDA_VISIBLE_DEVICES"
        )
    return found[0]


def engine_for_gpu(spec: GraphSpec, gpu: Gpu) -> EngineSpec:
    """The compiled plan of a graph for a GPU. Raises ``DeviceUnavailable``, naming the GPUs that have plans."""
    engine = spec.engine(gpu.compute_capability)
    if engine is None:
        others = ", ".join(item.compute_capability for item in spec.engines)
        raise DeviceUnavailable(
            f"{spec.file} has {f'plans for {others}' if others else 'no plan'}, none for {gpu.name} "
            f"({gpu.compute_capability}); export the checkpoint with --gpu for this GPU"
        )
    return engine


def _count() -> int:
    api = cudart()
    status, count = api.cudaGetDeviceCount()
    if status == api.cudaError_t.cudaErrorInsufficientDriver:
        raise DeviceUnavailable(
            f"no NVIDIA driver, or one too old for CUDA {_version(api.cudaRuntimeGetVersion()[1])}; install or update "
            "it, see `nvidia-smi`"
        )
    if status or not count:
        reason = status_text(status) if status and status != api.cudaError_t.cudaErrorNoDevice else "no GPU"
        raise DeviceUnavailable(
            f"no NVIDIA GPU can be used: {reason}; see `nvidia-smi`, in a container give --gpus all"
        )
    return int(count)


def _gpu(index: int) -> Gpu:
    properties = call("cudaGetDeviceProperties", index)
    return Gpu(
        name=properties.name.decode().rstrip("\0"),
        compute_capability=f"sm_{properties.major}{properties.minor}",
        memory_bytes=properties.totalGlobalMem,
        driver_version=_version(call("cudaDriverGetVersion")),
        index=index,
        uuid=_uuid(properties),
    )


def _uuid(properties: Any) -> str:
    """As ``nvidia-smi -L`` writes it; the CUDA runtime does not tell a MIG instance from a GPU."""
    kind = "MIG" if " MIG " in properties.name.decode() else "GPU"
    return f"{kind}-{uuid.UUID(bytes=bytes(properties.uuid.bytes))}"


def _listed(gpus: list[Gpu]) -> str:
    return "; ".join(map(str, gpus))


def _version(number: int) -> str:
    """Formats CUDA's version number: 13050 is 13.5."""
    return f"{number // 1000}.{number % 1000 // 10}"
