"""Who reads a job, and what becomes of it when nobody does. Lives in the event loop; knows no engine and no message.

gRPC tells a handler that its stream is over, and not why: a caller who cancels looks like a connection that breaks.
So the request says what a broken stream means (docs/adr/0017). Without a window it ends the job. With one the job goes
on for that long, and is kept for as long after its end, for a reader who comes back.
"""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

import grpc

from server.errors import ReaderGone, rule_of
from server.observability.metrics import COMPLETED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from server.jobs.deadline import Deadline
    from server.jobs.registry import JobKey, Replays
    from server.observability.job_metrics import JobMeter


class Attended(Protocol):
    """A job that is read."""

    @property
    def is_over(self) -> bool:
        """Whether nothing will be added to its stream."""
        ...

    def refuse(self, error: BaseException) -> None:
        """Its streams end now, and so does its work."""
        ...

    def abandon(self) -> None:
        """Its work ends."""
        ...


class Attendance:
    """``on_over`` is called when nobody reads the job and no work is left in it, perhaps more than once."""

    def __init__(
        self,
        job: Attended,
        *,
        key: JobKey,
        window_seconds: float,
        replays: Replays,
        meter: JobMeter,
        on_over: Callable[[], None],
    ) -> None:
        self._job = job
        self._key = key
        self._window_seconds = window_seconds
        self._replays = replays
        self._meter = meter
        self._on_over = on_over
        self._reader_count = 0
        self._is_ended = False
        self._return: asyncio.TimerHandle | None = None

    @property
    def is_idle(self) -> bool:
        """Whether nobody reads the job."""
        return not self._reader_count

    @contextmanager
    def reading(self, deadline: Deadline) -> Iterator[None]:
        """Around one reader's stream; what it ends with decides about the job."""
        self._reader_count += 1
        self._stop_waiting()
        outcome, may_return = COMPLETED, False
        try:
            yield
        except (asyncio.CancelledError, GeneratorExit):
            code = deadline.code_of_cancel
            outcome, may_return = code.name.lower(), code is grpc.StatusCode.CANCELLED
            raise
        except Exception as error:
            outcome = rule_of(error).reason.lower()
            raise
        finally:
            self._reader_count -= 1
            self._left(outcome, may_return, deadline)

    def work_ended(self) -> None:
        """The engine is done with the job."""
        if self._return is not None:
            self._stop_waiting()
            self._await_return(self._window_seconds)

    def give_up(self, error: BaseException) -> None:
        """Ends the job, where it is not over, and whoever reads it."""
        self._job.refuse(error)
        if self.is_idle:
            self._meter.job_ended(rule_of(error).reason.lower())
        self._end()

    def _left(self, outcome: str, may_return: bool, deadline: Deadline) -> None:
        if self._reader_count:
            if outcome == COMPLETED:
                self._meter.job_ended(outcome)
            return
        can_return = bool(self._window_seconds) and not self._is_ended and not self._replays.is_closed
        if can_return and (may_return or self._job.is_over):
            if not may_return:
                self._meter.job_ended(outcome)
            remaining = deadline.remaining_seconds
            self._await_return(self._window_seconds if remaining is None else min(self._window_seconds, remaining))
        else:
            self._meter.job_ended(outcome)
            self._end()

    def _await_return(self, seconds: float) -> None:
        self._return = asyncio.get_running_loop().call_later(seconds, self.give_up, ReaderGone())
        self._meter.detached(1)
        if self._job.is_over:
            self._on_over()
            self._replays.keep(self._key)

    def _stop_waiting(self) -> None:
        if self._return is not None:
            self._return.cancel()
            self._return = None
            self._meter.detached(-1)
            self._replays.resume(self._key)

    def _end(self) -> None:
        self._is_ended = True
        self._stop_waiting()
        self._replays.forget(self._key)
        self._job.abandon()
        if self.is_idle:
            self._on_over()
