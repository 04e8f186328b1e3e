"""The caller's deadline. Knows the clock of a call; does not know what the call does.

gRPC ends a handler in the same way for a cancel and for a deadline, and the caller's clock usually fires a moment
before the server's. A call that ends within the tolerance below before its deadline counts as ended by it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import grpc

from server.errors import DeadlineTooShort

if TYPE_CHECKING:
    from grpc.aio import ServicerContext

    from server.jobs.estimates import Estimate

_TOLERANCE_SECONDS = 0.1
_TOLERANCE_RATIO = 0.02  # gRPC rounds a timeout up to three digits on its way


class Deadline:
    """The deadline of one call, or none."""

    def __init__(self, context: ServicerContext[Any, Any]) -> None:
        self._context = context
        self._tolerance_seconds = max(_TOLERANCE_SECONDS, (self.remaining_seconds or 0.0) * _TOLERANCE_RATIO)

    @property
    def is_over(self) -> bool:
        """Whether no time is left."""
        remaining = self.remaining_seconds
        return remaining is not None and remaining <= 0.0

    def check(self, estimate: Estimate, wait_seconds: float | None) -> None:
        """Raises ``DeadlineTooShort`` where wait and work are known to take longer than is left."""
        remaining, work_seconds = self.remaining_seconds, estimate.work_seconds
        if remaining is None or work_seconds is None or not estimate.is_trusted:
            return
        if (wait_seconds or 0.0) + work_seconds > remaining:
            raise DeadlineTooShort(remaining, wait_seconds or 0.0, work_seconds)

    @property
    def code_of_cancel(self) -> grpc.StatusCode:
        """Whether a cancel that arrives now was caused by the caller or by the deadline."""
        remaining = self.remaining_seconds
        if remaining is not None and remaining <= self._tolerance_seconds:
            return grpc.StatusCode.DEADLINE_EXCEEDED
        return grpc.StatusCode.CANCELLED

    @property
    def remaining_seconds(self) -> float | None:
        """What is left; None without a deadline."""
        return cast("float | None", self._context.time_remaining())
