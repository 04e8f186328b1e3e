"""One GPU through cuda-python: memory, copies and streams. The only module that calls CUDA.

Every CUDA call returns a status; ``error_of_status`` turns a bad one into an error of the engine. A buffer is freed
with its last reference.
"""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Callable
from typing import Any

from engine.api.errors import DeviceLost, DeviceUnavailable, EngineError, GraphFailed, OutOfMemory

_INSTALL = "install it with: pip install 'stillcue[server,tensorrt]'"
_OUT_OF_MEMORY = 2
# Statuses after which every further call of this process fails, so that only another process can use the GPU. CUDA's
# reference says so of 226, 700, 702, 710, 714 to 719, 721, 810 and 911; the others tell that the GPU, its memory or its
# context is gone (46, 100, 101, 214, 220, 709), or that the driver lost it without a name for that (999).
_STICKY = frozenset({46, 100, 101, 214, 220, 226, 700, 702, 709, 710, *range(714, 720), 721, 810, 911, 999})


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

    Raises ``OutOfMemory``, ``DeviceLost`` or ``GraphFailed``.
    """
    status, *results = getattr(cudart(), function)(*arguments)
    if status:
        raise error_of_status(int(status), f"{function} failed: {status_text(status)}")
    return results[0] if len(results) == 1 else results


def error_of_status(number: int, text: str) -> EngineError:
    """The error of a CUDA status, by its number; ``text`` tells the call and the status."""
    if number == _OUT_OF_MEMORY:
        return OutOfMemory(
            "the GPU ran out of memory; free it of other work, or ask for a smaller size or fewer frames"
        )
    if number in _STICKY:
        return DeviceLost(text)
    return GraphFailed(text)


def status_text(status: Any) -> str:
    """CUDA's description of a status."""
    return f"{cudart().cudaGetErrorString(status)[1].decode()} ({status.name})"


class Device:
    """A GPU by its CUDA index, which counts the GPUs that ``CUDA_VISIBLE_DEVICES`` leaves.

    CUDA holds the current GPU for each thread, and a thread that chose none uses the first one: so every call here
    chooses first. Other libraries that use the GPU of their thread need ``make_current`` before their calls.
    """

    def __init__(self, index: int) -> None:
        self.index = index

    def make_current(self) -> None:
        """Makes this GPU the current one of the thread."""
        call("cudaSetDevice", self.index)

    def call(self, function: str, *arguments: Any) -> Any:
        """Like ``cuda.call``, on this GPU."""
        self.make_current()
        return call(function, *arguments)

    def use_blocking_waits(self) -> None:
        """Makes threads sleep while they wait for the GPU, instead of spinning: the server needs the core."""
        self.call("cudaSetDeviceFlags", cudart().cudaDeviceScheduleBlockingSync)

    def used_bytes(self) -> int:
        """GPU memory in use by all processes."""
        free, total = self.call("cudaMemGetInfo")
        return int(total - free)

    def finaliser(self, function: str) -> Callable[[Any], None]:
        """A function of the runtime API for ``__del__``, which runs in any thread: it chooses this GPU first.

        It raises nothing, and imports nothing, which would fail at the interpreter's end.
        """
        set_device, release, index = cudart().cudaSetDevice, getattr(cudart(), function), self.index

        def finalise(handle: Any) -> None:
            set_device(index)
            release(handle)

        return finalise


class DeviceBuffer:
    """``byte_count`` bytes on a GPU, at ``address``; at least one, because CUDA allocates no empty buffer."""

    def __init__(self, byte_count: int, device: Device) -> None:
        self.byte_count = byte_count
        self._free = device.finaliser("cudaFree")
        self.address: int = device.call("cudaMalloc", max(byte_count, 1))

    def __del__(self) -> None:
        if hasattr(self, "address"):
            self._free(self.address)


class PinnedBuffer:
    """Page-locked host memory, from which the GPU copies at the rate of the bus; ``view`` is its content."""

    def __init__(self, byte_count: int, device: Device) -> None:
        self._free = device.finaliser("cudaFreeHost")
        self.address: int = device.call("cudaHostAlloc", byte_count, cudart().cudaHostAllocPortable)
        self.view = memoryview((ctypes.c_ubyte * byte_count).from_address(self.address)).cast("B")

    def __del__(self) -> None:
        if hasattr(self, "address"):
            self._free(self.address)


class Stream:
    """A CUDA stream of a GPU. It does not synchronise with CUDA's default stream."""

    def __init__(self, device: Device) -> None:
        self.device = device
        self._destroy = device.finaliser("cudaStreamDestroy")
        self._stream = device.call("cudaStreamCreateWithFlags", cudart().cudaStreamNonBlocking)

    @property
    def handle(self) -> int:
        """The handle that other libraries take."""
        return int(self._stream)

    def to_device(self, address: int, host_address: int, byte_count: int) -> None:
        """Copies from the host. The host memory may change once this returns."""
        kind = cudart().cudaMemcpyKind.cudaMemcpyHostToDevice
        self.device.call("cudaMemcpyAsync", address, host_address, byte_count, kind, self._stream)
        self.wait()

    def to_host(self, host_address: int, address: int, byte_count: int) -> None:
        """Copies to the host, after all earlier work of the stream, and waits for the copy."""
        kind = cudart().cudaMemcpyKind.cudaMemcpyDeviceToHost
        self.device.call("cudaMemcpyAsync", host_address, address, byte_count, kind, self._stream)
        self.wait()

    def fill_zeros(self, buffer: DeviceBuffer) -> None:
        """Sets every byte to zero, in the stream's order."""
        self.device.call("cudaMemsetAsync", buffer.address, 0, buffer.byte_count, self._stream)

    def wait(self) -> None:
        """Waits for all work so far. Raises the errors of that work."""
        self.device.call("cudaStreamSynchronize", self._stream)

    def __del__(self) -> None:
        if hasattr(self, "_stream"):
            self._destroy(self._stream)
