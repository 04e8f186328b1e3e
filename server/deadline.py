"""The caller's deadline. Knows the clock of a call; does not know what the call does.

gRPC ends a handler in the same way for a cancel and for a deadline, and the caller's clock usually fires a moment
before the server's. A call that ends within the tolerance below before its deadline counts as ended by it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import grpc

if TYPE_CHECKING:
    from grpc.aio import ServicerContext

_TOLERANCE_SECONDS = 0.1
_TOLERANCE_RATIO = 0.02  # gRPC rounds a timeout up to three digits on its way


class Deadline:
    """The deadline of one call, or none."""

    def __init__(self, context: ServicerContext[Any, Any]) -> None:
        self._context = context
        self._tolerance_seconds = max(_TOLERANCE_SECONDS, (self._remaining_seconds() or 0.0) * _TOLERANCE_RATIO)

    @property
    def is_over(self) -> bool:
        """Whether no time is left."""
        remaining = self._remaining_seconds()
        return remaining is not None and remaining <= 0.0

    @property
    def code_of_cancel(self) -> grpc.StatusCode:
        """Whether a cancel that arrives now was caused by the caller or by the deadline."""
        remaining = self._remaining_seconds()
        if remaining is not None and remaining <= self._tolerance_seconds:
            return grpc.StatusCode.DEADLINE_EXCEEDED
        return grpc.StatusCode.CANCELLED

    def _remaining_seconds(self) -> float | None:
        return cast("float | None", self._context.time_remaining())
