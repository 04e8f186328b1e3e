"""The bounded buffer between the engine and one reader. Lives in the event loop; knows no gRPC and no engine.

Messages leave in the order in which their slots were reserved, whenever each one is ready; nobody who puts one in
ever waits. When more bytes are held than may be, everything is dropped and the reader gets an error.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Generic, TypeVar

from server.errors import BufferFull

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

_T = TypeVar("_T")


class Slot(Generic[_T]):
    """The place of one message in the order; ``byte_count`` is what it holds at the moment."""

    def __init__(self, byte_count: int) -> None:
        self.byte_count = byte_count
        self.message: _T | None = None


class Outbox(Generic[_T]):
    """``on_overflow`` is called once, when the buffer was dropped because it held too much."""

    def __init__(self, max_bytes: int, on_overflow: Callable[[], None]) -> None:
        self._max_bytes = max_bytes
        self._on_overflow = on_overflow
        self._slots: deque[Slot[_T]] = deque()
        self._held_bytes = 0
        self._is_finished = False
        self._error: BaseException | None = None
        self._changed = asyncio.Event()

    def reserve(self, byte_count: int) -> Slot[_T]:
        """Takes the next place in the order for a message that is not ready yet and holds so many bytes."""
        slot: Slot[_T] = Slot(0)
        if not self._is_finished:
            self._slots.append(slot)
            self._hold(slot, byte_count)
        return slot

    def fill(self, slot: Slot[_T], message: _T, byte_count: int) -> None:
        """Makes a reserved message ready; ``byte_count`` replaces what was reserved."""
        if slot in self._slots:
            slot.message = message
            self._hold(slot, byte_count)
            self._changed.set()

    def put(self, message: _T, byte_count: int) -> None:
        """Appends a message that is ready."""
        self.fill(self.reserve(byte_count), message, byte_count)

    def finish(self, error: BaseException | None = None) -> None:
        """Ends the stream after the messages that are in it, with an error or without. The first call counts."""
        if not self._is_finished:
            self._is_finished = True
            self._error = error
            self._changed.set()

    def fail(self, error: BaseException) -> None:
        """Ends the stream now: what has not left is dropped."""
        self._slots.clear()
        self._held_bytes = 0
        self._is_finished = True
        self._error = error
        self._changed.set()

    async def messages(self) -> AsyncGenerator[_T, None]:
        """Yields the messages in order; raises the error that the stream ended with."""
        while self._slots or not self._is_finished:
            if self._slots and (message := self._slots[0].message) is not None:
                self._held_bytes -= self._slots.popleft().byte_count
                yield message
            else:
                self._changed.clear()
                await self._changed.wait()
        if self._error is not None:
            raise self._error

    def _hold(self, slot: Slot[_T], byte_count: int) -> None:
        self._held_bytes += byte_count - slot.byte_count
        slot.byte_count = byte_count
        if self._held_bytes > self._max_bytes:
            self.fail(BufferFull(self._max_bytes))
            self._on_overflow()
