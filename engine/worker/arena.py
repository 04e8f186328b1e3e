"""The memory that server and worker share: two words, and slots for pictures.

The server creates the memory and the worker maps it; then its name is removed, so that the memory is freed once both
processes ended, however they end. Before that, Python's resource tracker, which outlives the server, removes the name.

Layout: one word with the highest number of a job that must stop (written by the server), one word that changes whenever
the worker makes progress (written by the worker), then the slots of each direction.
"""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from multiprocessing.shared_memory import SharedMemory
from pathlib import Path

from engine.api.errors import NoSharedMemory

_WORD = struct.Struct("=Q")
_CANCELLED_AT, _PROGRESS_AT = 0, 8
_HEAD_BYTES = 64
_ALIGNMENT_BYTES = 64


@dataclass(frozen=True, slots=True)
class Slots:
    """The slots of one direction: ``count`` slots of ``slot_bytes`` each, from byte ``start``."""

    start: int
    count: int
    slot_bytes: int

    @property
    def end(self) -> int:
        """The first byte after the slots."""
        return self.start + self.count * self.slot_bytes


@dataclass(frozen=True, slots=True)
class Layout:
    """Position of the slots of both directions."""

    to_worker: Slots
    to_server: Slots

    @classmethod
    def of(cls, to_worker_count: int, to_worker_bytes: int, to_server_count: int, to_server_bytes: int) -> Layout:
        """Lays out the slots one direction after the other. Bytes are those of the largest content of a slot."""
        to_worker = Slots(_HEAD_BYTES, to_worker_count, _aligned(to_worker_bytes))
        return cls(to_worker, Slots(to_worker.end, to_server_count, _aligned(to_server_bytes)))


class Arena:
    """The shared memory as one process sees it. Release every view before ``close``."""

    def __init__(self, memory: SharedMemory) -> None:
        self._memory = memory

    @classmethod
    def create(cls, layout: Layout) -> Arena:
        """Creates the memory. Raises ``NoSharedMemory``."""
        byte_count = layout.to_server.end
        try:
            memory = SharedMemory(create=True, size=byte_count)
        except OSError as error:
            raise _no_room(byte_count, error) from None
        try:
            _reserve(memory)
        except OSError as error:
            memory.unlink()
            memory.close()
            raise _no_room(byte_count, error) from None
        return cls(memory)

    @classmethod
    def attach(cls, name: str) -> Arena:
        """Maps the memory that the server created."""
        return cls(SharedMemory(name=name))

    @property
    def name(self) -> str:
        """The name by which the worker finds the memory."""
        return self._memory.name

    def view(self, slots: Slots, index: int) -> memoryview:
        """The bytes of a slot; the caller releases the view."""
        start = slots.start + index * slots.slot_bytes
        return self._bytes[start : start + slots.slot_bytes]

    @property
    def cancelled(self) -> int:
        """Jobs up to this number must stop."""
        return self._word(_CANCELLED_AT)

    @cancelled.setter
    def cancelled(self, number: int) -> None:
        _WORD.pack_into(self._bytes, _CANCELLED_AT, number)

    @property
    def progress(self) -> int:
        """A number that changes whenever the worker makes progress."""
        return self._word(_PROGRESS_AT)

    def note_progress(self) -> None:
        """Records progress of the worker; called by one thread."""
        _WORD.pack_into(self._bytes, _PROGRESS_AT, self.progress + 1)

    def forget_name(self) -> None:
        """Removes the name. Processes that mapped the memory keep it."""
        self._memory.unlink()

    def close(self) -> None:
        """Unmaps the memory."""
        self._memory.close()

    def _word(self, offset: int) -> int:
        number: int = _WORD.unpack_from(self._bytes, offset)[0]
        return number

    @property
    def _bytes(self) -> memoryview:
        if self._memory.buf is None:
            raise EOFError("the shared memory is closed")
        return self._memory.buf


def _reserve(memory: SharedMemory) -> None:
    """Allocates the pages now. If they ran out later, writing to them would kill the process."""
    path = Path("/dev/shm") / memory.name
    if not path.exists():
        return
    descriptor = os.open(path, os.O_RDWR)
    try:
        os.posix_fallocate(descriptor, 0, memory.size)
    finally:
        os.close(descriptor)


def _no_room(byte_count: int, error: OSError) -> NoSharedMemory:
    reason = (error.strerror or str(error)).lower()
    return NoSharedMemory(
        f"cannot allocate {byte_count} bytes of shared memory ({reason}); enlarge /dev/shm (docker run --shm-size)"
    )


def _aligned(byte_count: int) -> int:
    return -(-byte_count // _ALIGNMENT_BYTES) * _ALIGNMENT_BYTES
