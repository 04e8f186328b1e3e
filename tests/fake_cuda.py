"""A fake GPU in host memory: the part of ``cuda.bindings.runtime`` that the engine uses.

Addresses are real addresses of this process, so copies really copy. Every copy is checked against its allocation.
"""

from __future__ import annotations

import ctypes
import enum
from types import SimpleNamespace
from typing import Any

_DEVICE = {"name": b"Fake RTX 3090", "major": 8, "minor": 6}


class cudaError_t(enum.IntEnum):  # noqa: N801  CUDA's name
    cudaSuccess = 0
    cudaErrorInvalidValue = 1
    cudaErrorMemoryAllocation = 2
    cudaErrorInsufficientDriver = 35
    cudaErrorNoDevice = 100


class cudaMemcpyKind(enum.IntEnum):  # noqa: N801
    cudaMemcpyHostToDevice = 1
    cudaMemcpyDeviceToHost = 2


class FakeCuda:
    """``present`` is the status that the first driver call returns; ``memory_bytes`` is the GPU's memory."""

    cudaStreamNonBlocking = 1
    cudaDeviceScheduleBlockingSync = 4

    def __init__(self, memory_bytes: int = 24 * 2**30, present: cudaError_t = cudaError_t.cudaSuccess) -> None:
        self.cudaError_t, self.cudaMemcpyKind = cudaError_t, cudaMemcpyKind
        self.memory_bytes = memory_bytes
        self.present = present
        self.waits = 0
        self._buffers: dict[int, Any] = {}

    @property
    def used_bytes(self) -> int:
        return sum(len(buffer) for buffer in self._buffers.values())

    def cudaGetDeviceCount(self) -> tuple[cudaError_t, int | None]:
        return (self.present, 1) if self.present is cudaError_t.cudaSuccess else (self.present, None)

    def cudaGetDeviceProperties(self, index: int) -> tuple[cudaError_t, Any]:
        return cudaError_t.cudaSuccess, SimpleNamespace(**_DEVICE, totalGlobalMem=self.memory_bytes)

    def cudaDriverGetVersion(self) -> tuple[cudaError_t, int]:
        return cudaError_t.cudaSuccess, 13050

    def cudaRuntimeGetVersion(self) -> tuple[cudaError_t, int]:
        return cudaError_t.cudaSuccess, 13050

    def cudaGetErrorString(self, status: cudaError_t) -> tuple[cudaError_t, bytes]:
        return cudaError_t.cudaSuccess, b"text of " + status.name.encode()

    def cudaSetDeviceFlags(self, flags: int) -> tuple[cudaError_t]:
        return (cudaError_t.cudaSuccess,)

    def cudaMalloc(self, size: int) -> tuple[cudaError_t, int | None]:
        if self.used_bytes + size > self.memory_bytes:
            return cudaError_t.cudaErrorMemoryAllocation, None
        buffer = (ctypes.c_ubyte * size)(*([0xAA] * min(size, 64)))  # GPU memory is not zeroed
        self._buffers[ctypes.addressof(buffer)] = buffer
        return cudaError_t.cudaSuccess, ctypes.addressof(buffer)

    def cudaFree(self, address: int) -> tuple[cudaError_t]:
        return (cudaError_t.cudaSuccess if self._buffers.pop(address, None) else cudaError_t.cudaErrorInvalidValue,)

    def cudaMemGetInfo(self) -> tuple[cudaError_t, int, int]:
        return cudaError_t.cudaSuccess, self.memory_bytes - self.used_bytes, self.memory_bytes

    def cudaStreamCreateWithFlags(self, flags: int) -> tuple[cudaError_t, int]:
        return cudaError_t.cudaSuccess, 7

    def cudaStreamDestroy(self, stream: int) -> tuple[cudaError_t]:
        return (cudaError_t.cudaSuccess,)

    def cudaStreamSynchronize(self, stream: int) -> tuple[cudaError_t]:
        self.waits += 1
        return (cudaError_t.cudaSuccess,)

    def cudaMemcpyAsync(
        self, target: int, source: int, size: int, kind: cudaMemcpyKind, stream: int
    ) -> tuple[cudaError_t]:
        on_device = target if kind is cudaMemcpyKind.cudaMemcpyHostToDevice else source
        if not self._holds(on_device, size):
            return (cudaError_t.cudaErrorInvalidValue,)
        ctypes.memmove(target, source, size)
        return (cudaError_t.cudaSuccess,)

    def cudaMemsetAsync(self, address: int, value: int, size: int, stream: int) -> tuple[cudaError_t]:
        if len(self._buffers[address]) < size:
            return (cudaError_t.cudaErrorInvalidValue,)
        ctypes.memset(address, value, size)
        return (cudaError_t.cudaSuccess,)

    def _holds(self, address: int, size: int) -> bool:
        return any(start <= address and address + size <= start + len(held) for start, held in self._buffers.items())
