"""Detects the GPU of this machine, and finds the compiled plan of a graph for it."""

from __future__ import annotations

from dataclasses import dataclass

from engine.api.errors import DeviceUnavailable
from engine.bundle.graph_spec import EngineSpec, GraphSpec
from engine.runtime.cuda import call, cudart, status_text


@dataclass(frozen=True, slots=True)
class Gpu:
    """Properties of a GPU from the driver; ``compute_capability`` as ``sm_86``, memory in bytes."""

    name: str
    compute_capability: str
    memory_bytes: int
    driver_version: str


def present_gpu(index: int = 0) -> Gpu:
    """The GPU of this machine. Raises ``DeviceUnavailable``, saying whether the driver or the GPU is missing."""
    api = cudart()
    status, count = api.cudaGetDeviceCount()
    if status == api.cudaError_t.cudaErrorInsufficientDriver:
        raise DeviceUnavailable(
            f"no NVIDIA driver, or one too old for CUDA {_version(api.cudaRuntimeGetVersion()[1])}; install or update "
            "it, see `nvidia-smi`"
        )
    if status != api.cudaError_t.cudaSuccess or count <= index:
        reason = (
            "no GPU"
            if status in (api.cudaError_t.cudaSuccess, api.cudaError_t.cudaErrorNoDevice)
            else status_text(status)
        )
        raise DeviceUnavailable(
            f"no NVIDIA GPU can be used: {reason}; see `nvidia-smi`, in a container give --gpus all"
        )
    properties = call("cudaGetDeviceProperties", index)
    return Gpu(
        name=properties.name.decode().rstrip("\0"),
        compute_capability=f"sm_{properties.major}{properties.minor}",
        memory_bytes=properties.totalGlobalMem,
        driver_version=_version(call("cudaDriverGetVersion")),
    )


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


def _version(number: int) -> str:
    """Formats CUDA's version number: 13050 is 13.5."""
    return f"{number // 1000}.{number % 1000 // 10}"
