"""Decides if, when and with which request a broken stream is resumed. Shared by both clients; makes no calls itself.

A stream can be resumed after the last received event, within the resume window that the server granted in
``Accepted``. Before the first event, the same request is sent again and joins the job that it started. Delays grow from
attempt to attempt and are random, so that clients that lost the same server do not all return at once.

In a fleet, the resume token names the server that has the job; the call carries the name as metadata, by which a proxy
finds the server. Where that server is gone, another one asks for the whole request and does the job again.
"""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING

from stillcue.busy import BusyPolicy, BusyRetries, backoff_seconds, is_broken, is_busy
from stillcue.errors import ErrorDetails, Overloaded, ResumeFailed, ServerError, StillcueError
from stillcue.v1 import generate_pb2

if TYPE_CHECKING:
    from collections.abc import Callable

# Metadata of a call that resumes a stream or cancels a job: the part of the resume token before the dot.
REPLICA_HEADER = "stillcue-replica"
# Number of further calls if the first one broke before its first event; the same request joins the job it started.
BEGINNING_ATTEMPT_COUNT = 3
# Deadline of the CancelGenerate call that closing a stream makes.
CANCEL_SECONDS = 2.0


class Countdown:
    """Seconds left of a deadline that began with the first call; None: no deadline."""

    def __init__(self, timeout_seconds: float | None, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._ends_at = None if timeout_seconds is None else clock() + timeout_seconds

    @property
    def seconds(self) -> float | None:
        """Seconds left, 0 or more; None: no deadline."""
        return None if self._ends_at is None else max(self._ends_at - self._clock(), 0.0)


class Resumption:
    """The state of one stream across its calls. ``clock`` returns seconds, ``draw`` a random number from 0 to 1."""

    def __init__(
        self,
        request: generate_pb2.GenerateRequest,
        timeout_seconds: float | None,
        busy: BusyPolicy = BusyPolicy(),
        *,
        clock: Callable[[], float] = time.monotonic,
        draw: Callable[[], float] = random.random,
    ) -> None:
        self._first_request = request
        self._deadline = Countdown(timeout_seconds, clock)
        self._clock = clock
        self._draw = draw
        self._token = ""
        self._window_seconds = 0.0
        self._last_number = -1
        self._broke_at: float | None = None
        self._attempt_count = 0
        self._is_resumed = False
        self._is_complete = False
        self._sends_whole_request = False
        self._busy = busy
        self._refusals = BusyRetries(busy, clock=clock, draw=draw)
        self._may_go_on = request.stream.HasField("resume_window")

    @property
    def request(self) -> generate_pb2.GenerateRequest:
        """The request of the next call: the first request, or one with the resume token of the last event.

        Where another server is to do the job again, the first request with that token.
        """
        if not self._token:
            return self._first_request
        if self._sends_whole_request:
            request = generate_pb2.GenerateRequest()
            request.CopyFrom(self._first_request)
            request.resume_token = self._token
            return request
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
        return self._deadline.seconds

    @property
    def metadata(self) -> tuple[tuple[str, str], ...]:
        """Metadata of the next call, and of CancelGenerate: the key of the server that has the job, if it has one.

        Empty where another server is to do the job again: the proxy gives that one a place in its queue.
        """
        key, dot, _ = self._token.partition(".")
        return ((REPLICA_HEADER, key),) if dot and not self._sends_whole_request else ()

    @property
    def is_complete(self) -> bool:
        """True after the summary, the last event: however the call ends, the clip is complete."""
        return self._is_complete

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
        self._is_complete = response.HasField("summary")
        self._sends_whole_request = False
        self._refusals.reset()
        self._last_number = response.sequence_number
        self._token = response.resume_token
        self._broke_at = None
        self._attempt_count = 0

    def delay_after(self, error: StillcueError) -> float:
        """Returns the seconds to wait before the next call. Raises the caller's error if no further call is made."""
        if not self._token:
            return self._delay_of_first_call(error)
        if not self._may_go_on:
            raise error
        if _may_repeat(error) and not self._sends_whole_request:
            self._sends_whole_request = self._is_resumed = True
            return 0.0
        if not (is_broken(error) or self._is_passing(error)):
            raise error
        now = self._clock()
        if self._broke_at is None:
            self._broke_at = now
        delay = max(backoff_seconds(self._attempt_count, self._draw), error.retry_after_seconds or 0.0)
        # A job that is done again waits for a server like a new one; the window is that of a job that a server keeps.
        longest = max(self._window_seconds, self._busy.wait_seconds)
        if now + delay > self._broke_at + longest:
            message = f"the stream broke and could not be resumed within {longest:g} s: {error}"
            raise ResumeFailed(message, error.details)
        self._attempt_count += 1
        self._is_resumed = True
        return delay

    def _is_passing(self, error: StillcueError) -> bool:
        """Returns True for a refusal after which another call may succeed.

        A resuming call found the server overloaded; or the server has no room, and another one may do the job again.
        Any other error with a reason is the server's final answer.
        """
        if isinstance(error, Overloaded) and self._broke_at is not None:
            return True
        return is_busy(error) and (bool(self.metadata) or self._sends_whole_request)

    def _delay_of_first_call(self, error: StillcueError) -> float:
        """Before the first event: a refused call is repeated; one that broke off joins the job that it began."""
        delay = self._refusals.delay_after(error)
        if delay is not None:
            return delay
        # Perhaps no server exists, so there are only a few attempts.
        if not self._may_go_on or not is_broken(error) or self._attempt_count == BEGINNING_ATTEMPT_COUNT:
            raise error
        delay = max(backoff_seconds(self._attempt_count, self._draw), error.retry_after_seconds or 0.0)
        self._attempt_count += 1
        return delay


def _may_repeat(error: StillcueError) -> bool:
    """Returns True if the server asks for the whole request, to do again a job that began on another server."""
    return error.reason == "JOB_NOT_FOUND" and error.details.metadata.get("can_repeat") == "true"
