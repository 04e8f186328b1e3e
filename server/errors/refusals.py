"""Errors that the server raises itself, as one tree; the errors of the engine are in ``engine.api.errors``.

::

    Refusal
    ├── InvalidRequest    fields of the request are wrong
    ├── SizeNotCompiled   the bundle was not compiled for the size or length of the request
    ├── SuccessFitMissing the request asks for attempts, and the bundle cannot judge a clip
    ├── TokenMissing      the call has neither a token nor a client certificate
    ├── TokenUnknown      no caller has this token
    ├── TokenExpired      the token is known and has expired
    ├── CallerUnknown     the client certificate is valid, and no caller is listed under its names
    ├── QuotaExceeded     the caller has reached one of its limits
    ├── QueueFull         every place in the queue is taken
    ├── ServerStarting    the engine is still loading
    ├── ServerDraining    the server is shutting down
    ├── DeadlinePassed    the deadline passed before the work began
    ├── DeadlineTooShort  the estimated wait and work exceed the deadline
    ├── ReaderStalled     a ready message waited too long for its reader
    ├── BufferFull        unread frames fill the job's buffer
    ├── ReaderGone        no reader resumed the stream within resume_window
    ├── JobNotFound       the server holds no such job of the caller
    ├── ReplicaDiffers    the job began on a server that makes other clips of the same request
    ├── ClipDiffers       the job was done again, and its clip differs from the events that the caller has
    ├── EventsDropped     the events after the resume token were dropped
    ├── RequestIdReused   another request of the caller has this request_id
    ├── MalformedRequest  the request bytes do not parse
    ├── UnknownService    the health request names an unknown service
    └── UnknownMethod     the server has no such method
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from engine.api.errors import InvalidJob, NotCompiled

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from engine.api.errors import Violation
    from engine.api.fields import Field

QUEUE_RETRY_SECONDS = 5.0  # where the server has no estimate of its queue


class Refusal(Exception):
    """Base of the errors that the server raises itself; the message is written for the caller."""


@dataclass(frozen=True, slots=True)
class FieldViolation:
    """One wrong field of a request, by its path, for example ``video.frame_count``."""

    path: str
    description: str

    def __str__(self) -> str:
        return f"{self.path}: {self.description}"


class InvalidRequest(Refusal):
    """Fields of the request are wrong; ``violations`` names each of them by its path."""

    def __init__(self, *violations: FieldViolation) -> None:
        super().__init__("; ".join(map(str, violations)))
        self.violations = violations


class SizeNotCompiled(Refusal):
    """The bundle was not compiled for the size or length of the request."""

    def __init__(self, violation: FieldViolation) -> None:
        super().__init__(str(violation))
        self.violation = violation


class SuccessFitMissing(Refusal):
    """The request asks for several attempts, and the bundle has no fitted success of a clip to judge them by."""

    def __init__(self) -> None:
        super().__init__(
            "this bundle has no fitted success of clips, which judges attempts; send attempts.maximum_count 1, or let "
            "the server's operator fit it: python -m evaluation run, then python -m export.calibrate BUNDLE --outcomes"
        )


class TokenMissing(Refusal):
    """The call has neither a token nor a client certificate."""

    def __init__(self) -> None:
        super().__init__("this server needs a token; send it as metadata, authorization: Bearer TOKEN")


class TokenUnknown(Refusal):
    """No caller has this token."""

    def __init__(self) -> None:
        super().__init__("this server does not know the token; ask its operator for one")


class TokenExpired(Refusal):
    """The token is known and has expired."""

    def __init__(self) -> None:
        super().__init__("the token has expired; ask the server's operator for a new one")


class CallerUnknown(Refusal):
    """The client certificate is valid, and no caller is listed under its names."""

    def __init__(self) -> None:
        super().__init__(
            "no name in the client certificate is listed as a caller; ask the server's operator to list one"
        )


class QuotaExceeded(Refusal):
    """The caller has reached a limit: ``quota`` is the name of the limit, ``limit`` its value."""

    def __init__(self, caller_name: str, quota: str, limit: int, retry_seconds: float) -> None:
        super().__init__(
            f"{caller_name or 'the caller'} has reached the limit {quota}={limit}; wait, or ask for a higher one"
        )
        self.caller_name = caller_name
        self.quota = quota
        self.limit = limit
        self.retry_seconds = retry_seconds


class QueueFull(Refusal):
    """Every place in the queue is taken. ``free_seconds``: the expected time until one is free; None: unknown."""

    def __init__(self, capacity: int, free_seconds: float | None = None) -> None:
        super().__init__(f"the queue is full ({capacity} jobs may wait); try again later or on another server")
        self.capacity = capacity
        # A retry in less than a second would be refused again.
        self.retry_seconds = QUEUE_RETRY_SECONDS if free_seconds is None else max(free_seconds, 1.0)


class ServerStarting(Refusal):
    """The engine is still loading."""

    def __init__(self) -> None:
        super().__init__("the server is starting; try again shortly")


class ServerDraining(Refusal):
    """The server is shutting down."""

    def __init__(self) -> None:
        super().__init__("the server is shutting down; try again on another server")


class DeadlinePassed(Refusal):
    """The caller's deadline passed before the work began."""

    def __init__(self) -> None:
        super().__init__("the deadline passed before the work began; send a later one")


class DeadlineTooShort(Refusal):
    """The estimated wait and work exceed the time that is left until the caller's deadline."""

    def __init__(self, remaining_seconds: float, wait_seconds: float, work_seconds: float) -> None:
        super().__init__(
            f"the deadline is in {remaining_seconds:.3g} s, but the job will probably wait {wait_seconds:.3g} s and "
            f"take {work_seconds:.3g} s; send a later deadline, or ask for fewer steps, fewer frames or a smaller size"
        )
        self.remaining_seconds = remaining_seconds
        self.wait_seconds = wait_seconds
        self.work_seconds = work_seconds


class ReaderStalled(Refusal):
    """A ready message waited too long for its reader."""

    def __init__(self, max_stall_seconds: float) -> None:
        super().__init__(f"a message waited {max_stall_seconds:g} s for the reader; read messages as they arrive")


class BufferFull(Refusal):
    """Unread messages fill the job's buffer."""

    def __init__(self, max_buffered_bytes: int) -> None:
        super().__init__(
            f"more than {max_buffered_bytes} bytes waited for the reader; read faster, or ask for a smaller "
            "stream.frame_encoding"
        )


class ReaderGone(Refusal):
    """No reader resumed the stream within ``stream.resume_window``."""

    def __init__(self) -> None:
        super().__init__("no call resumed the stream within stream.resume_window")


class JobNotFound(Refusal):
    """The server holds no job of this request id for the caller.

    ``can_repeat``: the job began on an equal server, and the whole request with its resume token makes this server do
    it again and go on with the next event.
    """

    def __init__(self, *, can_repeat: bool = False) -> None:
        super().__init__(
            "the job of this request_id began on another server; send the whole request again with the same "
            "resume_token, to have it done again here and go on with the next event"
            if can_repeat
            else "this server holds no job of this request_id for the caller: it was cancelled, its resume_window is "
            "over, or it ran on another server; send the request again without resume_token"
        )
        self.can_repeat = can_repeat


class ReplicaDiffers(Refusal):
    """The job began on a server with another bundle, device, defaults or version, which makes other clips."""

    def __init__(self) -> None:
        super().__init__(
            "the job began on a server with another bundle, device, default or version, whose clip this server cannot "
            "go on with; send the request again under a new request_id, without resume_token"
        )


class ClipDiffers(Refusal):
    """The job was done again on an equal server, and its events differ from those that the caller has."""

    def __init__(self) -> None:
        super().__init__(
            "the job was done again on another server, and its clip differs from the events that were sent before; "
            "send the request again under a new request_id, without resume_token"
        )


class EventsDropped(Refusal):
    """The events after the resume token were dropped to keep memory bounded."""

    def __init__(self) -> None:
        super().__init__(
            "the events after this resume_token were dropped to keep memory bounded; send the request again "
            "under a new request_id, or with a smaller stream.frame_encoding"
        )


class RequestIdReused(Refusal):
    """Another request of the caller has this request id."""

    def __init__(self) -> None:
        super().__init__("this request_id belongs to another request; send this one under a new UUID")


class MalformedRequest(Refusal):
    """The request bytes do not parse as a message of the method."""

    def __init__(self) -> None:
        super().__init__(
            "the request does not parse as a message of this method; use client stubs of the server's version"
        )


class UnknownService(Refusal):
    """The health request names a service that this server does not serve."""

    def __init__(self) -> None:
        super().__init__("this server has no such service")


class UnknownMethod(Refusal):
    """The path of the call names a service or a method that this server does not implement."""

    def __init__(self) -> None:
        super().__init__("this server has no such method; compare the proto package and the versions of both sides")


def refusal_of(
    error: InvalidJob | NotCompiled, paths: Mapping[Field, str], violations: tuple[FieldViolation, ...]
) -> Refusal:
    """The refusal of a request by the engine, together with the wrong fields that decoding found.

    ``paths`` gives the path of each field in the message of the request; ``{}`` in it stands for a segment's index.
    """
    if isinstance(error, InvalidJob):
        return InvalidRequest(*violations, *_located(error.violations, paths))
    if violations:
        return InvalidRequest(*violations)
    return SizeNotCompiled(*_located([error.violation], paths))


def _located(violations: Iterable[Violation], paths: Mapping[Field, str]) -> tuple[FieldViolation, ...]:
    return tuple(FieldViolation(paths[item.field].format(item.segment), item.description) for item in violations)
