"""Who is next: a bounded queue, one job in the engine, callers in turn. Lives in the event loop.

Knows positions and times; does not know jobs, engines or gRPC. Callers take turns: of those who wait, each one's first
job goes before anybody's second. Jobs of one caller go in the order in which they came, and so do those of callers
without a name.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from server.errors import QueueFull, ServerDraining

if TYPE_CHECKING:
    from collections.abc import Callable


class Waiter(Protocol):
    """Somebody with a place in the queue."""

    @property
    def caller_name(self) -> str:
        """Whose turn it takes."""
        ...

    @property
    def work_seconds(self) -> float | None:
        """How long it is likely to have the engine; None where nobody knows."""
        ...

    def move(self, position: int, wait_seconds: float | None) -> None:
        """``position`` others are ahead, the running one included; at 0 the engine is the waiter's.

        ``wait_seconds`` is how long that is likely to take; None where nobody knows.
        """
        ...

    def refuse(self, error: BaseException) -> None:
        """The place is lost."""
        ...


@dataclass(frozen=True, slots=True)
class _Place:
    waiter: Waiter
    turn: int


class Admission:
    """``capacity`` waiters may wait behind the running one. ``on_waiting_count`` is told how many do."""

    def __init__(
        self,
        capacity: int,
        on_waiting_count: Callable[[int], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._capacity = capacity
        self._on_waiting_count = on_waiting_count
        self._clock = clock
        self._line: list[_Place] = []  # the first one has the engine; by turn, then as they came
        self._started_at = 0.0
        self._is_closed = False
        self._hindrance: Callable[[], Exception] | None = None

    def check(self) -> None:
        """Raises ``QueueFull``, ``ServerDraining`` or what ``refuse_new`` gave where ``enter`` would.

        Asked before anything is prepared, so that nothing is prepared in vain.
        """
        if self._is_closed:
            raise ServerDraining
        if self._hindrance is not None:
            raise self._hindrance()
        if len(self._line) > self._capacity:
            raise QueueFull(self._capacity, self._wait_seconds(1))

    def wait_seconds(self, caller_name: str) -> float | None:
        """How long a job that came now would wait; None where nobody knows."""
        return self._wait_seconds(self._index_of_turn(self._turn_of(caller_name)))

    def enter(self, waiter: Waiter) -> None:
        """Gives a waiter its place and tells it which one that is. Raises like ``check``."""
        self.check()
        turn = self._turn_of(waiter.caller_name)
        index = self._index_of_turn(turn)
        self._line.insert(index, _Place(waiter, turn))
        self._report()
        self._tell_from(index)

    def leave(self, waiter: Waiter) -> None:
        """Takes a waiter out, wherever it stands, and moves those behind it up. Harmless when it is not in."""
        index = next((index for index, place in enumerate(self._line) if place.waiter is waiter), None)
        if index is None:
            return
        del self._line[index]
        self._report()
        self._tell_from(index)

    def refuse_new(self, hindrance: Callable[[], Exception] | None) -> None:
        """Refuses those who come, until None is given; those who wait keep their places."""
        self._hindrance = hindrance

    def close(self) -> None:
        """Refuses those who wait and those who come; the running one goes on."""
        self._is_closed = True
        waiting = self._line[1:]
        del self._line[1:]
        self._report()
        for place in waiting:
            place.waiter.refuse(ServerDraining())

    def refuse_running(self) -> None:
        """Ends the running one too."""
        for place in self._line:
            place.waiter.refuse(ServerDraining())

    def _turn_of(self, caller_name: str) -> int:
        """The turn after the caller's last one that is in the line, or the one that is on."""
        own = [place.turn for place in self._line if place.waiter.caller_name == caller_name]
        if own:
            return max(own) + 1
        return self._line[0].turn if self._line else 0

    def _index_of_turn(self, turn: int) -> int:
        """Behind the running one and everybody who waits with that turn or an earlier one."""
        return min(len(self._line), 1) + sum(place.turn <= turn for place in self._line[1:])

    def _tell_from(self, index: int) -> None:
        """Tells everybody from a place on where they stand now."""
        if index == 0:
            self._started_at = self._clock()
        for position in range(index, len(self._line)):
            self._line[position].waiter.move(position, self._wait_seconds(position))

    def _wait_seconds(self, position: int) -> float | None:
        """What those ahead of a place are likely to take."""
        seconds = 0.0
        for index, place in enumerate(self._line[:position]):
            work_seconds = place.waiter.work_seconds
            if work_seconds is None:
                return None
            seconds += work_seconds if index else max(work_seconds - (self._clock() - self._started_at), 0.0)
        return seconds

    def _report(self) -> None:
        self._on_waiting_count(max(len(self._line) - 1, 0))
