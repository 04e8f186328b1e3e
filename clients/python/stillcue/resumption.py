"""Whether, when and with what a broken stream is taken up again. Shared by both clients; knows no channel.

A stream can be taken up from the last event that came, for as long as the server granted with ``Accepted``; before the
first one the same request joins the job that it has begun. Waits grow from attempt to attempt and are drawn at random,
so that clients that lost one server do not come back as one.
"""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING

from stillcue.errors import ErrorDetails, Overloaded, ResumeFailed, ServerError, StillcueError
from stillcue.v1 import generate_pb2

if TYPE_CHECKING:
    from collections.abc import Callable

FIRST_DELAY_SECONDS = 0.1
LONGEST_DELAY_SECONDS = 2.0
# Further calls where the first one broke before its first event. The same request joins the job that it has begun.
BEGINNING_ATTEMPT_COUNT = 3
# How long closing a stream may take to tell the server that nobody comes back.
CANCEL_SECONDS = 2.0


class Resumption:
    """The calls that make up one stream. ``clock`` gives seconds, ``draw`` a number from 0 to 1."""

    def __init__(
        self,
        request: generate_pb2.GenerateRequest,
        timeout_seconds: float | None,
        *,
        clock: Callable[[], float] = time.monotonic,
        draw: Callable[[], float] = random.random,
    ) -> None:
        self._first_request = request
        self._ends_at = None if timeout_seconds is None else clock() + timeout_seconds
        self._clock = clock
        self._draw = draw
        self._token = ""
        self._window_seconds = 0.0
        self._last_number = -1
        self._broke_at: float | None = None
        self._attempt_count = 0
        self._is_resumed = False
        self._may_go_on = request.stream.HasField("resume_window")

    @property
    def request(self) -> generate_pb2.GenerateRequest:
        """What the next call holds."""
        if not self._token:
            return self._first_request
        return generate_pb2.GenerateRequest(
            request_id=self._first_request.request_id,
            stream=generate_pb2.StreamSpec(max_stall_duration=self._first_request.stream.max_stall_duration)
            if self._first_request.stream.HasField("max_stall_duration")
            else None,
            resume_token=self._token,
        )

    @property
    def timeout_seconds(self) -> float | None:
        """What is left of the deadline for the next call; None without one."""
        return None if self._ends_at is None else max(self._ends_at - self._clock(), 0.0)

    @property
    def outlives_its_call(self) -> bool:
        """Whether the job goes on when the call is cancelled, unless the server is told."""
        return self._may_go_on

    def received(self, response: generate_pb2.GenerateResponse) -> None:
        """A message came. Raises ``ServerError`` where it is not the next one of a stream that was taken up."""
        if self._is_resumed and response.sequence_number != self._last_number + 1:
            details = ErrorDetails(status="DATA_LOSS", request_id=self._first_request.request_id)
            raise ServerError("the server went on with another event than the next one", details)
        if response.HasField("accepted"):
            window = response.accepted.resume_window
            self._window_seconds = window.ToNanoseconds() / 1e9
            self._may_go_on = self._window_seconds > 0
        self._last_number = response.sequence_number
        self._token = response.resume_token
        self._broke_at = None
        self._attempt_count = 0

    def delay_after(self, error: StillcueError) -> float:
        """How long to wait before the next call. Raises what the caller is told where there is to be none."""
        if not self._may_go_on or not _is_passing(error, is_first=self._broke_at is None or not self._token):
            raise error
        now = self._clock()
        if self._broke_at is None:
            self._broke_at = now
        longest = min(FIRST_DELAY_SECONDS * 2.0**self._attempt_count, LONGEST_DELAY_SECONDS)
        delay = max(longest * (0.5 + self._draw() / 2), error.retry_after_seconds or 0.0)
        if not self._token:  # there may be no server at all, and nobody waits long to be told so
            if self._attempt_count == BEGINNING_ATTEMPT_COUNT:
                raise error
            self._attempt_count += 1
            return delay
        if now + delay > self._broke_at + self._window_seconds:
            message = f"the stream broke and could not be taken up again within {self._window_seconds:g} s: {error}"
            raise ResumeFailed(message, error.details)
        self._attempt_count += 1
        self._is_resumed = True
        return delay


def _is_passing(error: StillcueError, *, is_first: bool) -> bool:
    """Whether the next call may fare better: the connection broke, or, later, there is no room at the moment.

    What the server says with a reason is its last word on the job; a broken connection, and the proxies that tell of
    one, have none.
    """
    if error.reason is None:
        return error.status in {"UNAVAILABLE", "UNKNOWN", "INTERNAL"}
    return isinstance(error, Overloaded) and not is_first
