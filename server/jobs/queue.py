"""The bounded queue of jobs: one job has the engine, the others wait, and callers take turns. Runs in the event loop.

The first waiting job of each caller goes before the second job of any caller. Jobs of one caller go in the order in
which they came; callers without a name count as one caller. A job keeps the engine for all of its attempts.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from server.errors.refusals import QueueFull, ServerDraining

if TYPE_CHECKING:
    from collections.abc import Callable


class Waiter(Protocol):
    """A job with a place in the queue."""

    def move(self, position: int, wait_seconds: float | None) -> None:
        """``position`` jobs are ahead, the running one included; at 0 the job has the engine.

        ``wait_seconds`` is the estimated wait; None: no estimate.
        """
        ...

    def refuse(self, error: BaseException) -> None:
        """The job loses its place, because of this error."""
        ...


@dataclass(frozen=True, slots=True)
class _Place:
    waiter: Waiter
    caller_name: str
    work_seconds: float | None
    turn: int


class JobQueue:
    """``capacity`` jobs may wait behind the running one. ``on_waiting_count`` receives how many do."""

    def __init__(
        self,
        capacity: int,
        on_waiting_count: Callable[[int], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._capacity = capacity
        self._on_waiting_count = on_waiting_count
        self._clock = clock
        self._line: list[_Place] = []  # the first job has the engine; the others by turn, then by arrival
        self._started_at = 0.0
        self._is_closed = False
        self._refusal: Callable[[], Exception] | None = None

    @property
    def is_closed(self) -> bool:
        """``close`` was called."""
        return self._is_closed

    def check(self) -> None:
        """Raises what ``enter`` would raise: ``QueueFull``, ``ServerDraining`` or the refusal of ``refuse_new``.

        Called before a request is prepared, so that no request is prepared in vain.
        """
        if self._is_closed:
            raise ServerDraining
        if self._refusal is not None:
            raise self._refusal()
        if len(self._line) > self._capacity:
            raise QueueFull(self._capacity, self._wait_seconds(1))

    def wait_seconds(self, caller_name: str) -> float | None:
        """The estimated wait of a job that came now; None: no estimate."""
        return self._wait_seconds(self._index_of_turn(self._turn_of(caller_name)))

    def enter(self, waiter: Waiter, caller_name: str, work_seconds: float | None) -> None:
        """Gives a job its place, and reports the positions of the job and of those behind it. Raises like ``check``.

        ``work_seconds`` is the estimated time in the engine; None: no estimate.
        """
        self.check()
        turn = self._turn_of(caller_name)
        index = self._index_of_turn(turn)
        self._line.insert(index, _Place(waiter, caller_name, work_seconds, turn))
        self._report()
        self._tell_from(index)

    def begin_again(self, waiter: Waiter) -> None:
        """The running job begins a further attempt, as long as the first; reports the new waits to the jobs behind."""
        if self._line and self._line[0].waiter is waiter:
            self._started_at = self._clock()
            self._tell_from(1)

    def leave(self, waiter: Waiter) -> None:
        """Takes a job out and moves those behind it up. Does nothing for a job without a place."""
        index = next((index for index, place in enumerate(self._line) if place.waiter is waiter), None)
        if index is None:
            return
        del self._line[index]
        self._report()
        self._tell_from(index)

    def refuse_new(self, refusal: Callable[[], Exception] | None) -> None:
        """Refuses new jobs with what ``refusal`` returns, until None is passed; waiting jobs keep their places."""
        self._refusal = refusal

    def close(self) -> None:
        """Refuses waiting and new jobs; the running one goes on."""
        self._is_closed = True
        waiting = self._line[1:]
        del self._line[1:]
        self._report()
        for place in waiting:
            place.waiter.refuse(ServerDraining())

    def refuse_running(self) -> None:
        """Ends the running job too."""
        for place in self._line:
            place.waiter.refuse(ServerDraining())

    def _turn_of(self, caller_name: str) -> int:
        """The turn after the last one of the caller in the line; for a caller without a job, the present turn."""
        own = [place.turn for place in self._line if place.caller_name == caller_name]
        if own:
            return max(own) + 1
        return self._line[0].turn if self._line else 0

    def _index_of_turn(self, turn: int) -> int:
        """The index behind the running job and every waiting job of that turn or an earlier one."""
        return min(len(self._line), 1) + sum(place.turn <= turn for place in self._line[1:])

    def _tell_from(self, index: int) -> None:
        """Reports the new positions of all jobs from this index on."""
        if index == 0:
            self._started_at = self._clock()
        for position in range(index, len(self._line)):
            self._line[position].waiter.move(position, self._wait_seconds(position))

    def _wait_seconds(self, position: int) -> float | None:
        """The estimated time of the jobs ahead of a position."""
        seconds = 0.0
        for index, place in enumerate(self._line[:position]):
            work_seconds = place.work_seconds
            if work_seconds is None:
                return None
            seconds += work_seconds if index else max(work_seconds - (self._clock() - self._started_at), 0.0)
        return seconds

    def _report(self) -> None:
        self._on_waiting_count(max(len(self._line) - 1, 0))
