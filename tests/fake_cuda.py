"""Fake GPUs in host memory: the part of ``cuda.bindings.runtime`` that the engine uses, and as strict as CUDA.

Addresses are real addresses of this process, so copies really copy. Work of a stream is done when somebody waits for
it, not before. The current GPU belongs to a thread, and a thread that chose none uses the first GPU. An error of the
GPU is told by a wait and from then on by every call.
"""

from __future__ import annotations

import ctypes
import enum
import threading
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from types import SimpleNamespace
from typing import Any


class cudaError_t(enum.IntEnum):  # noqa: N801  CUDA's name
    cudaSuccess = 0
    cudaErrorInvalidValue = 1
    cudaErrorMemoryAllocation = 2
    cudaErrorInsufficientDriver = 35
    cudaErrorDevicesUnavailable = 46
    cudaErrorNoDevice = 100
    cudaErrorInvalidDevice = 101
    cudaErrorECCUncorrectable = 214
    cudaErrorInvalidResourceHandle = 400
    cudaErrorIllegalAddress = 700
    cudaErrorLaunchTimeout = 702
    cudaErrorLaunchFailure = 719
    cudaErrorUnknown = 999


class cudaMemcpyKind(enum.IntEnum):  # noqa: N801
    cudaMemcpyHostToDevice = 1
    cudaMemcpyDeviceToHost = 2


@dataclass(frozen=True)
class FakeDevice:
    """A GPU; ``uuid`` as ``nvidia-smi -L`` writes it, without its kind."""

    name: str = "Fake RTX 3090"
    uuid: str = "11111111-0000-0000-0000-000000000000"
    major: int = 8
    minor: int = 6


class FakeCuda:
    """``present`` is the status that the first driver call returns; ``memory_bytes`` is the memory of each GPU.

    ``break_wait(2, status)``: the second wait from now on tells ``status``, and every call after it too.
    """

    cudaStreamNonBlocking = 1
    cudaDeviceScheduleBlockingSync = 4
    cudaHostAllocPortable = 1

    def __init__(
        self,
        memory_bytes: int = 24 * 2**30,
        present: cudaError_t = cudaError_t.cudaSuccess,
        devices: tuple[FakeDevice, ...] = (FakeDevice(),),
    ) -> None:
        self.cudaError_t, self.cudaMemcpyKind = cudaError_t, cudaMemcpyKind
        self.memory_bytes = memory_bytes
        self.present = present
        self.devices = devices
        self.waits = 0
        self.blocking_devices: set[int] = set()
        self.broken: cudaError_t | None = None
        self._breaks_at: tuple[int, cudaError_t] | None = None
        self._thread = threading.local()
        self._lock = threading.RLock()
        self._buffers: dict[int, tuple[int, Any]] = {}
        self._pinned: dict[int, Any] = {}
        self._streams: dict[int, int] = {}
        self._work: dict[int, list[Callable[[], object]]] = {}

    @property
    def used_bytes(self) -> int:
        return self.used_bytes_of(0)

    def used_bytes_of(self, device: int) -> int:
        return sum(len(buffer) for owner, buffer in list(self._buffers.values()) if owner == device)

    @property
    def current_device(self) -> int:
        return getattr(self._thread, "device", 0)

    @property
    def has_context(self) -> bool:
        """This thread chose a GPU."""
        return hasattr(self._thread, "device")

    def break_wait(self, nth: int, status: cudaError_t) -> None:
        self._breaks_at = (self.waits + nth, status)

    def is_pinned(self, address: int, size: int) -> bool:
        return any(start <= address and address + size <= start + len(held) for start, held in self._pinned.items())

    def device_of(self, address: int) -> int | None:
        """The GPU that holds an address; None for an address of no buffer."""
        held = list(self._buffers.items())
        return next((owner for start, (owner, content) in held if start <= address < start + len(content)), None)

    def enqueue(self, stream: int, work: Callable[[], object]) -> cudaError_t:
        """Adds work to a stream of the thread's current GPU."""
        if self.broken is not None:
            return self.broken
        if self._streams.get(stream) != self.current_device:
            return cudaError_t.cudaErrorInvalidResourceHandle
        self._work[stream].append(work)
        return cudaError_t.cudaSuccess

    def cudaGetDeviceCount(self) -> tuple[cudaError_t, int | None]:
        status = self.broken or self.present
        return (status, len(self.devices)) if status is cudaError_t.cudaSuccess else (status, None)

    def cudaSetDevice(self, index: int) -> tuple[cudaError_t]:
        if self.broken is not None:
            return (self.broken,)
        if not 0 <= index < len(self.devices):
            return (cudaError_t.cudaErrorInvalidDevice,)
        self._thread.device = index
        return (cudaError_t.cudaSuccess,)

    def cudaGetDeviceProperties(self, index: int) -> tuple[cudaError_t, Any]:
        if self.broken is not None:
            return self.broken, None
        device = self.devices[index]
        return cudaError_t.cudaSuccess, SimpleNamespace(
            name=device.name.encode(),
            major=device.major,
            minor=device.minor,
            uuid=SimpleNamespace(bytes=uuid.UUID(device.uuid).bytes),
            totalGlobalMem=self.memory_bytes,
        )

    def cudaDriverGetVersion(self) -> tuple[cudaError_t, int]:
        return cudaError_t.cudaSuccess, 13050

    def cudaRuntimeGetVersion(self) -> tuple[cudaError_t, int]:
        return cudaError_t.cudaSuccess, 13050

    def cudaGetErrorString(self, status: cudaError_t) -> tuple[cudaError_t, bytes]:
        return cudaError_t.cudaSuccess, b"text of " + status.name.encode()

    def cudaSetDeviceFlags(self, flags: int) -> tuple[cudaError_t]:
        assert flags == self.cudaDeviceScheduleBlockingSync
        self.blocking_devices.add(self.current_device)
        return (self.broken or cudaError_t.cudaSuccess,)

    def cudaMalloc(self, size: int) -> tuple[cudaError_t, int | None]:
        if self.broken is not None:
            return self.broken, None
        device = self.current_device
        if self.used_bytes_of(device) + size > self.memory_bytes:
            return cudaError_t.cudaErrorMemoryAllocation, None
        buffer = (ctypes.c_ubyte * size)(*([0xAA] * min(size, 64)))  # GPU memory is not zeroed
        self._buffers[ctypes.addressof(buffer)] = device, buffer
        return cudaError_t.cudaSuccess, ctypes.addressof(buffer)

    def cudaFree(self, address: int) -> tuple[cudaError_t]:
        """Waits for all work of the GPU, as CUDA does. A thread on another GPU frees nothing."""
        if self.broken is not None:
            return (self.broken,)
        if self.device_of(address) != self.current_device:
            return (cudaError_t.cudaErrorInvalidValue,)
        for stream in [stream for stream, device in self._streams.items() if device == self.current_device]:
            self._finish(stream)
        return (cudaError_t.cudaSuccess if self._buffers.pop(address, None) else cudaError_t.cudaErrorInvalidValue,)

    def cudaHostAlloc(self, size: int, flags: int) -> tuple[cudaError_t, int | None]:
        assert flags == self.cudaHostAllocPortable
        if self.broken is not None:
            return self.broken, None
        buffer = (ctypes.c_ubyte * size)()
        self._pinned[ctypes.addressof(buffer)] = buffer
        return cudaError_t.cudaSuccess, ctypes.addressof(buffer)

    def cudaFreeHost(self, address: int) -> tuple[cudaError_t]:
        del self._pinned[address]
        return (self.broken or cudaError_t.cudaSuccess,)

    def cudaMemGetInfo(self) -> tuple[cudaError_t, int | None, int | None]:
        if self.broken is not None:
            return self.broken, None, None
        used = self.used_bytes_of(self.current_device)
        return cudaError_t.cudaSuccess, self.memory_bytes - used, self.memory_bytes

    def cudaStreamCreateWithFlags(self, flags: int) -> tuple[cudaError_t, int | None]:
        assert flags == self.cudaStreamNonBlocking
        if self.broken is not None:
            return self.broken, None
        with self._lock:
            stream = 7 + len(self._streams)
            self._streams[stream], self._work[stream] = self.current_device, []
        return cudaError_t.cudaSuccess, stream

    def cudaStreamDestroy(self, stream: int) -> tuple[cudaError_t]:
        return (self.broken or cudaError_t.cudaSuccess,)

    def cudaStreamSynchronize(self, stream: int) -> tuple[cudaError_t]:
        if self.broken is not None:
            return (self.broken,)
        if self._streams.get(stream) != self.current_device:
            return (cudaError_t.cudaErrorInvalidResourceHandle,)
        with self._lock:
            self.waits += 1
            if self._breaks_at is not None and self.waits == self._breaks_at[0]:
                self.broken = self._breaks_at[1]
                return (self.broken,)
        self._finish(stream)
        return (cudaError_t.cudaSuccess,)

    def cudaMemcpyAsync(
        self, target: int, source: int, size: int, kind: cudaMemcpyKind, stream: int
    ) -> tuple[cudaError_t]:
        on_device = target if kind is cudaMemcpyKind.cudaMemcpyHostToDevice else source
        if not self._holds(on_device, size, stream):
            return (self.broken or cudaError_t.cudaErrorInvalidValue,)
        return (self.enqueue(stream, partial(ctypes.memmove, target, source, size)),)

    def cudaMemsetAsync(self, address: int, value: int, size: int, stream: int) -> tuple[cudaError_t]:
        if not self._holds(address, size, stream):
            return (self.broken or cudaError_t.cudaErrorInvalidValue,)
        return (self.enqueue(stream, partial(ctypes.memset, address, value, size)),)

    def _finish(self, stream: int) -> None:
        with self._lock:
            work, self._work[stream] = self._work[stream], []
            for each in work:
                each()

    def _holds(self, address: int, size: int, stream: int) -> bool:
        """The GPU of the stream holds these bytes in one buffer."""
        held = list(self._buffers.items())
        return any(
            owner == self._streams.get(stream) and start <= address and address + size <= start + len(content)
            for start, (owner, content) in held
        )
