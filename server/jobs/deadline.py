"""The deadline of a call. Imports no gRPC: the servicer passes the function that tells the remaining time.

gRPC ends a handler in the same way for a cancel and for a deadline, and the caller's clock usually fires a moment
before the server's. A call that ends within the tolerance before its deadline counts as ended by the deadline.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.api.errors import Cancelled
from server.errors.refusals import DeadlinePassed, DeadlineTooShort

if TYPE_CHECKING:
    from collections.abc import Callable

    from server.jobs.estimates import Estimate

_TOLERANCE_SECONDS = 0.1
_TOLERANCE_RATIO = 0.02  # gRPC rounds a timeout up to three digits on its way


class Deadline:
    """``time_remaining`` returns the seconds until the deadline, or None for a call without one."""

    def __init__(self, time_remaining: Callable[[], float | None]) -> None:
        self._time_remaining = time_remaining
        self._tolerance_seconds = max(_TOLERANCE_SECONDS, (self.remaining_seconds or 0.0) * _TOLERANCE_RATIO)

    @property
    def remaining_seconds(self) -> float | None:
        """Seconds until the deadline; None: the call has no deadline."""
        return self._time_remaining()

    @property
    def cause_of_cancel(self) -> Cancelled | DeadlinePassed:
        """The error for a cancel that arrives now: caused by the deadline, or by the caller."""
        remaining = self.remaining_seconds
        if remaining is not None and remaining <= self._tolerance_seconds:
            return DeadlinePassed()
        return Cancelled("the caller cancelled the call")

    def check(self) -> None:
        """Raises ``DeadlinePassed`` where no time is left."""
        remaining = self.remaining_seconds
        if remaining is not None and remaining <= 0.0:
            raise DeadlinePassed

    def check_estimate(self, estimate: Estimate, wait_seconds: float | None) -> None:
        """Raises ``DeadlineTooShort`` where a trusted estimate of wait and work exceeds the remaining time."""
        remaining, work_seconds = self.remaining_seconds, estimate.work_seconds
        if remaining is None or work_seconds is None or not estimate.is_trusted:
            return
        if (wait_seconds or 0.0) + work_seconds > remaining:
            raise DeadlineTooShort(remaining, wait_seconds or 0.0, work_seconds)

    def shorten(self, seconds: float) -> float:
        """``seconds``, cut to the remaining time."""
        remaining = self.remaining_seconds
        return seconds if remaining is None else min(seconds, remaining)
