"""The card and its memory, through cuda-python. The only file that calls CUDA itself; knows no graphs.

Every call of CUDA gives a status first; here it becomes an error of the engine or nothing. A buffer frees itself with
its last reference.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

from engine.errors import DeviceUnavailable, GraphFailed, OutOfMemory

_INSTALL = "install it with: pip install 'stillcue[server,tensorrt]'"


@dataclass(frozen=True, slots=True)
class Card:
    """What the driver says of a card; ``compute_capability`` as ``sm_86``, memory in bytes."""

    name: str
    compute_capability: str
    memory_bytes: int
    driver_version: str


@functools.cache
def cudart() -> Any:
    """CUDA's runtime API. Raises ``DeviceUnavailable`` where cuda-python is not installed."""
    try:
        from cuda.bindings import runtime
    except ImportError as error:
        raise DeviceUnavailable(f"cuda-python cannot be imported ({error}); {_INSTALL}") from error
    return runtime


def call(function: str, *arguments: Any) -> Any:
    """Calls a function of the runtime API by name; returns what it returns behind the status.

    Raises ``OutOfMemory`` or ``GraphFailed``.
    """
    api = cudart()
    status, *results = getattr(api, function)(*arguments)
    if status == api.cudaError_t.cudaErrorMemoryAllocation:
        raise OutOfMemory(
            "the card ran out of memory; free it of other work, or ask for a smaller size or fewer frames"
        )
    if status != api.cudaError_t.cudaSuccess:
        raise GraphFailed(f"{function} failed: {_text(status)}")
    return results[0] if results else None


def present_card(index: int = 0) -> Card:
    """The card of this machine. Raises ``DeviceUnavailable``, saying whether driver or card is missing."""
    api = cudart()
    status, count = api.cudaGetDeviceCount()
    if status == api.cudaError_t.cudaErrorInsufficientDriver:
        raise DeviceUnavailable(
            f"no NVIDIA driver, or one too old for CUDA {_version(api.cudaRuntimeGetVersion()[1])}; install or update "
            "it, see `nvidia-smi`"
        )
    if status != api.cudaError_t.cudaSuccess or count <= index:
        reason = (
            "no card" if status in (api.cudaError_t.cudaSuccess, api.cudaError_t.cudaErrorNoDevice) else _text(status)
        )
        raise DeviceUnavailable(
            f"no NVIDIA card can be used: {reason}; see `nvidia-smi`, in a container give --gpus all"
        )
    properties = call("cudaGetDeviceProperties", index)
    return Card(
        name=properties.name.decode().rstrip("\0"),
        compute_capability=f"sm_{properties.major}{properties.minor}",
        memory_bytes=properties.totalGlobalMem,
        driver_version=_version(call("cudaDriverGetVersion")),
    )


def used_bytes() -> int:
    """Memory of the card that is in use, by whomever."""
    free, total = call_pair("cudaMemGetInfo")
    return total - free


def call_pair(function: str, *arguments: Any) -> tuple[int, int]:
    """Like ``call``, for functions that return two values."""
    api = cudart()
    status, first, second = getattr(api, function)(*arguments)
    if status != api.cudaError_t.cudaSuccess:
        raise GraphFailed(f"{function} failed: {_text(status)}")
    return first, second


class DeviceBuffer:
    """``byte_count`` bytes on the card, at ``address``; at least one, because CUDA gives none no address."""

    def __init__(self, byte_count: int) -> None:
        self.byte_count = byte_count
        self.address: int = call("cudaMalloc", max(byte_count, 1))

    def __del__(self) -> None:
        address, self.address = getattr(self, "address", 0), 0
        if address:
            cudart().cudaFree(address)  # a failure here has nobody left to hear of it


class Stream:
    """Work of the card in order. It does not wait for CUDA's default stream."""

    def __init__(self) -> None:
        self._stream = call("cudaStreamCreateWithFlags", cudart().cudaStreamNonBlocking)

    @property
    def handle(self) -> int:
        """As other libraries take it."""
        return int(self._stream)

    def to_device(self, buffer: DeviceBuffer, host_address: int, byte_count: int) -> None:
        """Copies from the host; the host's memory may change as soon as this returns."""
        kind = cudart().cudaMemcpyKind.cudaMemcpyHostToDevice
        call("cudaMemcpyAsync", buffer.address, host_address, byte_count, kind, self._stream)
        self.wait()

    def to_host(self, host_address: int, buffer: DeviceBuffer, byte_count: int) -> None:
        """Copies to the host and waits for it, and so for all work before it."""
        kind = cudart().cudaMemcpyKind.cudaMemcpyDeviceToHost
        call("cudaMemcpyAsync", host_address, buffer.address, byte_count, kind, self._stream)
        self.wait()

    def fill_zeros(self, buffer: DeviceBuffer) -> None:
        """Sets every byte to zero, in the stream's order."""
        call("cudaMemsetAsync", buffer.address, 0, buffer.byte_count, self._stream)

    def wait(self) -> None:
        """Until all work so far is done. Raises what the card made of it."""
        call("cudaStreamSynchronize", self._stream)

    def __del__(self) -> None:
        stream = getattr(self, "_stream", None)
        if stream is not None:
            cudart().cudaStreamDestroy(stream)


def _text(status: Any) -> str:
    return f"{cudart().cudaGetErrorString(status)[1].decode()} ({status.name})"


def _version(number: int) -> str:
    """CUDA writes 13.5 as 13050."""
    return f"{number // 1000}.{number % 1000 // 10}"
