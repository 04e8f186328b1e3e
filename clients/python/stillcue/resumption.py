"""Decides if, when and with which request a broken stream is resumed. Shared by both clients; makes no calls itself.

A stream can be resumed after the last received event, within the resume window that the server granted in
``Accepted``. Before the first event, the same request is sent again and joins the job that it started. Delays grow from
attempt to attempt and are random, so that clients that lost the same server do not all return at once.
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
# Number of further calls if the first one broke before its first event; the same request joins the job it started.
BEGINNING_ATTEMPT_COUNT = 3
# Deadline of the CancelGenerate call that closing a stream makes.
CANCEL_SECONDS = 2.0


class Resumption:
    """The state of one stream across its calls. ``clock`` returns seconds, ``draw`` a random number from 0 to 1."""

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
        """The request of the next call: the first request, or one with the resume token of the last event."""
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
        """Seconds left until the deadline; None without a deadline."""
        return None if self._ends_at is None else max(self._ends_at - self._clock(), 0.0)

    @property
    def outlives_its_call(self) -> bool:
        """True if cancelling the call does not end the job, so that CancelGenerate is needed."""
        return self._may_go_on

    def received(self, response: generate_pb2.GenerateResponse) -> None:
        """Records a received message. Raises ``ServerError`` if it is not the next message of a resumed stream."""
        if self._is_resumed and response.sequence_number != self._last_number + 1:
            details = ErrorDetails(status="DATA_LOSS", request_id=self._first_request.request_id)
            raise ServerError("the server resumed the stream with another event than the next one", details)
        if response.HasField("accepted"):
            window = response.accepted.resume_window
            self._window_seconds = window.ToNanoseconds() / 1e9
            self._may_go_on = self._window_seconds > 0
        self._last_number = response.sequence_number
        self._token = response.resume_token
        self._broke_at = None
        self._attempt_count = 0

    def delay_after(self, error: StillcueError) -> float:
        """Returns the seconds to wait before the next call. Raises the caller's error if no further call is made."""
        if not self._may_go_on or not _is_passing(error, is_first=self._broke_at is None or not self._token):
            raise error
        now = self._clock()
        if self._broke_at is None:
            self._broke_at = now
        longest = min(FIRST_DELAY_SECONDS * 2.0**self._attempt_count, LONGEST_DELAY_SECONDS)
        delay = max(longest * (0.5 + self._draw() / 2), error.retry_after_seconds or 0.0)
        if not self._token:  # perhaps no server exists, so there are only a few attempts
            if self._attempt_count == BEGINNING_ATTEMPT_COUNT:
                raise error
            self._attempt_count += 1
            return delay
        if now + delay > self._broke_at + self._window_seconds:
            message = f"the stream broke and could not be resumed within {self._window_seconds:g} s: {error}"
            raise ResumeFailed(message, error.details)
        self._attempt_count += 1
        self._is_resumed = True
        return delay


def _is_passing(error: StillcueError, *, is_first: bool) -> bool:
    """Returns True if another call may succeed: the connection broke, or a resuming call found the server overloaded.

    Any other error with a reason is the server's final answer. Errors of a broken connection, from gRPC or a proxy,
    have no reason.
    """
    if error.reason is None:
        return error.status in {"UNAVAILABLE", "UNKNOWN", "INTERNAL"}
    return isinstance(error, Overloaded) and not is_first
