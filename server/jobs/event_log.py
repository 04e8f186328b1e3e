"""The bounded event log of one stream, between the engine, which never waits, and any number of readers.

Used in the event loop only. A message gets its number when its slot is reserved, and is sealed in the order of
numbers, once, so that every reader gets the same bytes.

A place that is held back has no number yet; its bytes count like those of any other place.

A log that keeps messages holds them after they were read, for a reader that resumes the stream. Where the log exceeds
its byte limit, it drops the oldest messages that every reader has passed. Where that is not enough, the readers are too
slow: of several readers the slowest loses its stream; the only reader fails together with the log.

The log of a job that is done again on this server begins with the number of the next event. Events that the caller has
get no number and are handed to ``on_repeated``; no later message is sealed before all of them were.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Generic, TypeVar

from server.errors.refusals import BufferFull, EventsDropped

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Iterable

_T = TypeVar("_T")


class Slot(Generic[_T]):
    """The place of one message in the order; ``byte_count`` is what the slot holds at the moment.

    ``number`` is None while the place is held back, and for an event that the caller has. ``is_repeatable``: a job that
    is done again gives the same event again.
    """

    def __init__(self, *, is_repeatable: bool = True) -> None:
        self.number: int | None = None
        self.is_repeatable = is_repeatable
        self.byte_count = 0
        self.message: _T | None = None


class _Reader:
    """One reader: ``number`` is that of its next message, ``error`` the reason why it gets no further one."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.error: BaseException | None = None


class EventLog(Generic[_T]):
    """``seal`` completes a message, given its number. ``on_overflow`` is called once, when the log is full.

    ``first_number`` is the number of the first message. The first ``repeated_count`` repeatable messages go to
    ``on_repeated`` instead of a reader.
    """

    def __init__(
        self,
        max_bytes: int,
        *,
        is_resumable: bool,
        seal: Callable[[_T, int], None],
        on_overflow: Callable[[], None],
        first_number: int = 0,
        repeated_count: int = 0,
        on_repeated: Callable[[_T], None] = lambda _: None,
    ) -> None:
        self._max_bytes = max_bytes
        self._is_resumable = is_resumable
        self._seal = seal
        self._on_overflow = on_overflow
        self._unrepeated_count = repeated_count
        self._on_repeated = on_repeated
        self._repeated: set[Slot[_T]] = set()  # places of repeated messages that are not ready
        self._slots: dict[int, Slot[_T]] = {}
        self._held_back: set[Slot[_T]] = set()
        self._first_number = first_number  # of the messages that the log holds
        self._sealed_end = first_number  # the number after the last sealed message
        self._reserved_end = first_number
        self._read_end = first_number  # by the reader that got furthest
        self._readers: list[_Reader] = []
        self.held_bytes = 0
        self.is_finished = False
        self._error: BaseException | None = None
        self._changed = asyncio.Event()

    @property
    def is_repeating(self) -> bool:
        """A repeated message is yet to come, or to be ready."""
        return self._unrepeated_count > 0 or bool(self._repeated)

    @property
    def unrepeated_count(self) -> int:
        """Repeated messages that are yet to come."""
        return self._unrepeated_count

    def reserve(self, byte_count: int, *, is_repeatable: bool = True) -> Slot[_T]:
        """Takes the next number for a message that is not ready yet and holds ``byte_count`` bytes until then."""
        slot: Slot[_T] = Slot(is_repeatable=is_repeatable)
        if not self.is_finished:
            self._number(slot)
            self._count(slot, byte_count)
        return slot

    def hold(self, byte_count: int) -> Slot[_T]:
        """Takes a place that gets its number by ``release``, and may be filled before."""
        slot: Slot[_T] = Slot()
        if not self.is_finished:
            self._held_back.add(slot)
            self._count(slot, byte_count)
        return slot

    def release(self, slots: Iterable[Slot[_T]]) -> None:
        """Gives places that were held back the next numbers, in this order."""
        for slot in slots:
            if slot in self._held_back:
                self._held_back.remove(slot)
                self._number(slot)
        self._seal_ready()
        self._announce()

    def drop(self, slots: Iterable[Slot[_T]]) -> None:
        """Gives up places that were held back."""
        for slot in slots:
            if slot in self._held_back:
                self._held_back.remove(slot)
                self._count(slot, 0)

    def fill(self, slot: Slot[_T], message: _T, byte_count: int) -> None:
        """Makes a reserved message ready; ``byte_count`` replaces what was reserved."""
        is_repeated = slot in self._repeated
        is_listed = slot.number is not None and self._slots.get(slot.number) is slot
        if not (is_repeated or is_listed or slot in self._held_back):
            return
        slot.message = message
        if is_repeated:
            self._repeat(slot, message)
            byte_count = 0
        self._seal_ready()
        self._count(slot, byte_count)
        self._announce()

    def put(self, message: _T, byte_count: int) -> None:
        """Appends a message that is ready."""
        self.fill(self.reserve(byte_count), message, byte_count)

    def finish(self, error: BaseException | None = None) -> None:
        """Ends the stream after the messages in the log, with an error or without. Only the first call counts.

        What is held back is dropped.
        """
        if not self.is_finished:
            self.drop(list(self._held_back))
            self.is_finished = True
            self._error = error
            self._announce()

    def fail(self, error: BaseException) -> None:
        """Ends the stream now, and drops every message."""
        self._slots.clear()
        self._held_back.clear()
        self._repeated.clear()
        self._first_number = self._sealed_end = self._reserved_end
        self.held_bytes = 0
        self.is_finished = True
        self._error = error
        for reader in self._readers:
            reader.error = error
        self._announce()

    def check(self, number: int) -> None:
        """Raises ``EventsDropped`` where no reader can begin at this number."""
        if not self._first_number <= number <= self._sealed_end:
            raise EventsDropped

    async def messages(self, number: int = 0) -> AsyncGenerator[_T, None]:
        """Yields the messages in order, from this number on; raises the error that the stream ended with.

        Raises ``EventsDropped`` where the log does not hold this message any more.
        """
        reader = _Reader(number)
        if number < self._first_number:
            reader.error = self._error or EventsDropped()
        self._readers.append(reader)
        try:
            while reader.error is None:
                slot = self._slots.get(reader.number)
                if slot is not None and slot.message is not None and reader.number < self._sealed_end:
                    reader.number += 1
                    self._read_end = max(self._read_end, reader.number)
                    if not self._is_resumable:
                        self._drop_first()
                    yield slot.message
                elif self.is_finished and reader.number >= self._reserved_end and not self._repeated:
                    reader.error = self._error
                    break
                else:
                    await self._changed.wait()
        finally:
            self._readers.remove(reader)
        if reader.error is not None:
            raise reader.error

    def _number(self, slot: Slot[_T]) -> None:
        if slot.is_repeatable and self._unrepeated_count:
            self._unrepeated_count -= 1
            self._repeated.add(slot)
            if slot.message is not None:
                self._repeat(slot, slot.message)
            return
        slot.number = self._reserved_end
        self._slots[slot.number] = slot
        self._reserved_end += 1

    def _repeat(self, slot: Slot[_T], message: _T) -> None:
        self._repeated.remove(slot)
        self._count(slot, 0)
        slot.message = None
        self._on_repeated(message)

    def _seal_ready(self) -> None:
        while (
            not self._repeated
            and (following := self._slots.get(self._sealed_end)) is not None
            and following.message is not None
        ):
            self._seal(following.message, self._sealed_end)
            self._sealed_end += 1

    def _count(self, slot: Slot[_T], byte_count: int) -> None:
        self.held_bytes += byte_count - slot.byte_count
        slot.byte_count = byte_count
        while self.held_bytes > self._max_bytes:
            readers = [reader for reader in self._readers if reader.error is None]
            if self._first_number < min((reader.number for reader in readers), default=self._read_end):
                self._drop_first()
            elif len(readers) > 1:
                min(readers, key=lambda reader: reader.number).error = BufferFull(self._max_bytes)
                self._announce()
            else:
                self.fail(BufferFull(self._max_bytes))
                self._on_overflow()

    def _drop_first(self) -> None:
        self.held_bytes -= self._slots.pop(self._first_number).byte_count
        self._first_number += 1

    def _announce(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()
