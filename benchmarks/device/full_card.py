"""Takes the memory of a GPU that is free, so that others find none. Knows CUDA; knows no model."""

from __future__ import annotations

from types import TracebackType

from engine.api.errors import OutOfMemory
from engine.runtime.cuda import Device, DeviceBuffer

_LARGEST_BYTES, _LEAST_BYTES = 1 << 33, 1 << 21  # CUDA gives memory in parts of 2 MiB


class FullCard:
    """A block in which the card is full; ``byte_count`` is what it took."""

    def __init__(self, index: int = 0) -> None:
        self._device = Device(index)
        self._buffers: list[DeviceBuffer] = []

    @property
    def byte_count(self) -> int:
        """Bytes of all buffers."""
        return sum(buffer.byte_count for buffer in self._buffers)

    def __enter__(self) -> FullCard:
        byte_count = _LARGEST_BYTES
        while byte_count >= _LEAST_BYTES:
            try:
                self._buffers.append(DeviceBuffer(byte_count, self._device))
            except OutOfMemory:
                byte_count //= 2
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._buffers.clear()
