"""Reads plan files ahead into page-locked memory, so that weights reach the GPU at the rate of the bus.

From a memory-mapped file CUDA copies in two steps on one thread: it faults pages in and copies them into a small
page-locked buffer of its own. On a host with PCIe 5 that gives 6.8 GB/s, a copy from page-locked memory 54.5 GB/s
(benchmarks/results/device-h100.json). Here several threads fill one half of a buffer while the other is copied. A copy
of the running job waits for one half at most.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from threading import Lock

from engine.runtime.cuda import Device, PinnedBuffer

HALF_BYTES = 32 * 2**20
_THREAD_COUNT = 8  # a processor copies some 5 GB/s out of the page cache
_PART_BYTES = HALF_BYTES // _THREAD_COUNT


class WeightStaging:
    """Two halves of page-locked memory, 64 MiB in all, for one load at a time; others wait."""

    def __init__(self, device: Device) -> None:
        self._device = device
        self._lock = Lock()
        self._pinned: PinnedBuffer | None = None
        self._threads = ThreadPoolExecutor(_THREAD_COUNT, thread_name_prefix="weights")

    @contextmanager
    def reader(self, file: Path) -> Iterator[PlanReader]:
        """Opens a file for one load. Raises ``OSError``, or ``OutOfMemory`` if the host gives no page-locked memory."""
        with self._lock, file.open("rb", buffering=0) as stream:
            if self._pinned is None:
                self._pinned = PinnedBuffer(2 * HALF_BYTES, self._device)
            halves = self._pinned.view[:HALF_BYTES], self._pinned.view[HALF_BYTES:]
            reader = PlanReader(stream.fileno(), halves, self._threads)
            try:
                yield reader
            finally:
                reader.close()


class PlanReader:
    """The content of an open file in order, read ahead by one half. ``fault`` is the error that ended the reading.

    What ``read`` returns stays valid until the next ``read``.
    """

    def __init__(self, descriptor: int, halves: tuple[memoryview, memoryview], threads: ThreadPoolExecutor) -> None:
        self._descriptor = descriptor
        self._byte_count = os.fstat(descriptor).st_size
        self._halves = halves
        self._threads = threads
        self._position = 0
        self._ready = halves[0][:0]  # the rest of the half that is being read
        self._current = 1
        self._ahead: list[Future[int]] = []
        self._ahead_position = 0
        self.fault: OSError | None = None

    def read(self, byte_count: int) -> memoryview:
        """The next bytes, at most ``byte_count``; none at the end, or after a fault."""
        try:
            if not self._ready:
                self._turn()
        except OSError as error:
            self.fault = error
        part, self._ready = self._ready[:byte_count], self._ready[byte_count:]
        self._position += len(part)
        return part

    def seek(self, offset: int, origin: int) -> bool:
        """Moves like ``os.lseek``; False for a place outside the file."""
        position = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._byte_count}[origin]
        if not 0 <= position <= self._byte_count:
            return False
        if position != self._position:
            self._position, self._ready = position, self._ready[:0]
        return True

    def close(self) -> None:
        """Waits for the threads, which write into the halves."""
        self._wait()

    def _turn(self) -> None:
        """Takes the half that was read ahead, and has the other one filled."""
        if not self._ahead or self._ahead_position != self._position:
            self._wait()
            self._fill_ahead(self._position)
        read = self._wait(must_succeed=True)
        self._current = 1 - self._current
        self._ready = self._halves[self._current][:read]
        self._fill_ahead(self._position + read)

    def _fill_ahead(self, position: int) -> None:
        half = self._halves[1 - self._current]
        self._ahead_position = position
        self._ahead = [
            self._threads.submit(_read_fully, self._descriptor, half[start : start + _PART_BYTES], position + start)
            for start in range(0, min(len(half), max(self._byte_count - position, 0)), _PART_BYTES)
        ]

    def _wait(self, *, must_succeed: bool = False) -> int:
        """Waits for the half that is being filled; returns its length in bytes."""
        ahead, self._ahead = self._ahead, []
        faults = [future.exception() for future in ahead]
        if must_succeed:
            for fault in filter(None, faults):
                raise fault
        return sum(future.result() for future, fault in zip(ahead, faults, strict=True) if fault is None)


def _read_fully(descriptor: int, part: memoryview, position: int) -> int:
    """Reads up to the end of ``part`` or of the file, without the interpreter's lock."""
    count = 0
    while count < len(part) and (read := os.preadv(descriptor, [part[count:]], position + count)):
        count += read
    return count
