"""GPU memory, copies and streams through cuda-python. The only module that calls CUDA.

Every CUDA call returns a status; ``call`` turns a bad one into an error of the engine. A buffer is freed with its last
reference.
"""

from __future__ import annotations

import functools
from typing import Any

from engine.api.errors import DeviceUnavailable, GraphFailed, OutOfMemory

_INSTALL = "install it with: pip install 'stillcue[server,tensorrt]'"


@functools.cache
def cudart() -> Any:
    """CUDA's runtime API. Raises ``DeviceUnavailable`` if cuda-python is not installed."""
    try:
        from cuda.bindings import runtime
    except ImportError as error:
        raise DeviceUnavailable(f"cuda-python cannot be imported ({error}); {_INSTALL}") from error
    return runtime


def call(function: str, *arguments: Any) -> Any:
    """Calls a function of the runtime API by name and returns its result without the status.

    Raises ``OutOfMemory`` or ``GraphFailed``.
    """
    api = cudart()
    status, *results = getattr(api, function)(*arguments)
    if status == api.cudaError_t.cudaErrorMemoryAllocation:
        raise OutOfMemory("the GPU ran out of memory; free it of other work, or ask for a smaller size or fewer frames")
    if status != api.cudaError_t.cudaSuccess:
        raise GraphFailed(f"{function} failed: {status_text(status)}")
    return results[0] if results else None


def use_blocking_waits() -> None:
    """Makes threads sleep while they wait for the GPU, instead of spinning: the server needs the core."""
    call("cudaSetDeviceFlags", cudart().cudaDeviceScheduleBlockingSync)


def used_bytes() -> int:
    """GPU memory in use by all processes."""
    free, total = call_pair("cudaMemGetInfo")
    return total - free


def call_pair(function: str, *arguments: Any) -> tuple[int, int]:
    """Like ``call``, for functions that return two values."""
    api = cudart()
    status, first, second = getattr(api, function)(*arguments)
    if status != api.cudaError_t.cudaSuccess:
        raise GraphFailed(f"{function} failed: {status_text(status)}")
    return first, second


class DeviceBuffer:
    """``byte_count`` bytes on the GPU, at ``address``; at least one, because CUDA allocates no empty buffer."""

    def __init__(self, byte_count: int) -> None:
        self.byte_count = byte_count
        self._free = cudart().cudaFree  # kept here: at the interpreter's end nothing can be imported
        self.address: int = call("cudaMalloc", max(byte_count, 1))

    def __del__(self) -> None:
        if hasattr(self, "address"):
            self._free(self.address)  # errors are ignored: a finaliser cannot raise


class Stream:
    """A CUDA stream. It does not synchronise with CUDA's default stream."""

    def __init__(self) -> None:
        self._destroy = cudart().cudaStreamDestroy
        self._stream = call("cudaStreamCreateWithFlags", cudart().cudaStreamNonBlocking)

    @property
    def handle(self) -> int:
        """The handle that other libraries take."""
        return int(self._stream)

    def to_device(self, address: int, host_address: int, byte_count: int) -> None:
        """Copies from the host. The host memory may change once this returns."""
        kind = cudart().cudaMemcpyKind.cudaMemcpyHostToDevice
        call("cudaMemcpyAsync", address, host_address, byte_count, kind, self._stream)
        self.wait()

    def to_host(self, host_address: int, address: int, byte_count: int) -> None:
        """Copies to the host, after all earlier work of the stream, and waits for the copy."""
        kind = cudart().cudaMemcpyKind.cudaMemcpyDeviceToHost
        call("cudaMemcpyAsync", host_address, address, byte_count, kind, self._stream)
        self.wait()

    def fill_zeros(self, buffer: DeviceBuffer) -> None:
        """Sets every byte to zero, in the stream's order."""
        call("cudaMemsetAsync", buffer.address, 0, buffer.byte_count, self._stream)

    def wait(self) -> None:
        """Waits for all work so far. Raises the errors of that work."""
        call("cudaStreamSynchronize", self._stream)

    def __del__(self) -> None:
        if hasattr(self, "_stream"):
            self._destroy(self._stream)


def status_text(status: Any) -> str:
    """CUDA's description of a status."""
    return f"{cudart().cudaGetErrorString(status)[1].decode()} ({status.name})"
