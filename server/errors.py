"""What a caller is told when a call fails: one table from errors to statuses.

The engine's errors are in ``engine.api.errors``; those below are the server's own::

    Refusal
    ├── TokenMissing      the call shows no token, nor a certificate in its place
    ├── TokenUnknown      the token is nobody's
    ├── TokenExpired      the token was somebody's
    ├── CallerUnknown     the client certificate is good, and its names are not listed
    ├── QuotaExceeded     the caller takes as much as it may
    ├── QueueFull         as many jobs wait as may wait
    ├── ServerStarting    the engine is not open yet
    ├── ServerDraining    the server is about to stop
    ├── DeadlinePassed    the caller's deadline is over
    ├── DeadlineTooShort  wait and work are known to take longer than the caller's deadline
    ├── ReaderStalled     the caller let a ready message wait for too long
    ├── BufferFull        the caller reads more slowly than frames come
    ├── ReaderGone        the caller did not come back for its stream
    ├── JobNotFound       the caller has no such job, or has it no more
    ├── EventsDropped     the stream's next events were dropped to keep memory bounded
    ├── RequestIdReused   another request of the caller has this request_id
    ├── InvalidRequest    fields of the request are wrong
    ├── SizeNotCompiled   the bundle was not compiled for the size or length of the request
    ├── MalformedRequest  the bytes are no such message
    └── UnknownService    health was asked about a service that is not served here

A status holds the error's own text, ``ErrorInfo``, and details by kind. An error that is not in the table is an
internal one: its text stays in the log, and the caller gets the request id to ask for it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import grpc
from google.protobuf import any_pb2, duration_pb2
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

from engine.api.errors import (
    Cancelled,
    EngineError,
    EngineHung,
    EngineLost,
    EngineRestarting,
    GraphFailed,
    InvalidJob,
    MatchRefused,
    NotCompiled,
    OutOfMemory,
    ScorerMissing,
)
from engine.api.fields import Field
from server.rpc.codec.fields import GENERATE_PATHS, FieldViolation, located
from server.rpc.codec.reports import encode_match_report, shortened

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from google.protobuf.message import Message

DOMAIN = "stillcue"
# Values of the fields that need a scorer, for a bundle without one.
_WITHOUT_SCORER = {Field.MATCH_MODE: "OFF", Field.PICTURE_FIT: "CROP_CENTER"}
_MAX_REPORT_BYTES = 4_000  # details travel as metadata, of which clients take 8 KiB


class Refusal(Exception):
    """Base of everything that the server itself refuses; the message is meant for the caller."""


class TokenMissing(Refusal):
    """The call shows no token, nor a certificate in its place."""

    def __init__(self) -> None:
        super().__init__("this server takes no call without a token; send it as metadata, authorization: Bearer TOKEN")


class TokenUnknown(Refusal):
    """The token is nobody's."""

    def __init__(self) -> None:
        super().__init__("the token is not one of this server's; ask its operator for one")


class TokenExpired(Refusal):
    """The token was somebody's."""

    def __init__(self) -> None:
        super().__init__("the token has expired; ask the server's operator for a new one")


class CallerUnknown(Refusal):
    """The client certificate is good, and its names are not listed."""

    def __init__(self) -> None:
        super().__init__("no name in the client certificate may call this server; ask its operator to list one")


class QuotaExceeded(Refusal):
    """The caller takes as much as it may: ``quota`` is the limit's name, ``limit`` its value."""

    def __init__(self, caller_name: str, quota: str, limit: int, retry_seconds: float) -> None:
        super().__init__(f"{caller_name or 'callers'} may have {quota}={limit}, and has; wait, or ask for more")
        self.caller_name = caller_name
        self.quota = quota
        self.limit = limit
        self.retry_seconds = retry_seconds


class QueueFull(Refusal):
    """As many jobs wait as may wait. ``free_seconds``: when a place is likely to be free; None: nobody knows."""

    def __init__(self, capacity: int, free_seconds: float | None = None) -> None:
        super().__init__(f"the queue is full, {capacity} may wait; try again later or on another server")
        self.capacity = capacity
        # At once would only be refused again.
        self.retry_seconds = RULES[QueueFull].retry_seconds if free_seconds is None else max(free_seconds, 1.0)


class ServerStarting(Refusal):
    """The engine is not open yet."""

    def __init__(self) -> None:
        super().__init__("the server is starting; try again shortly")


class ServerDraining(Refusal):
    """The server is about to stop."""

    def __init__(self) -> None:
        super().__init__("the server is shutting down; try again on another server")


class DeadlinePassed(Refusal):
    """The caller's deadline is over."""

    def __init__(self) -> None:
        super().__init__("the deadline was over before the work began; send a later one")


class DeadlineTooShort(Refusal):
    """Wait and work are known to take longer than the caller's deadline."""

    def __init__(self, remaining_seconds: float, wait_seconds: float, work_seconds: float) -> None:
        super().__init__(
            f"the deadline is in {remaining_seconds:.3g} s, and the job is likely to wait {wait_seconds:.3g} s and to "
            f"take {work_seconds:.3g} s; send a later deadline, or ask for fewer steps, fewer frames or a smaller size"
        )
        self.remaining_seconds = remaining_seconds
        self.wait_seconds = wait_seconds
        self.work_seconds = work_seconds


class ReaderStalled(Refusal):
    """The caller let a ready message wait for too long."""

    def __init__(self, max_stall_seconds: float) -> None:
        super().__init__(f"a message waited {max_stall_seconds:g} s for the reader; read the stream as it comes")


class BufferFull(Refusal):
    """The caller reads more slowly than frames come."""

    def __init__(self, max_buffered_bytes: int) -> None:
        super().__init__(
            f"more than {max_buffered_bytes} bytes wait for the reader; read faster, or ask for a smaller "
            "stream.frame_encoding"
        )


class ReaderGone(Refusal):
    """The caller did not come back for its stream."""

    def __init__(self) -> None:
        super().__init__("nobody took the stream up again within stream.resume_window")


class JobNotFound(Refusal):
    """The caller has no such job, or has it no more."""

    def __init__(self) -> None:
        super().__init__(
            "this server holds no job of this request_id for the caller: it was cancelled, its resume_window is over, "
            "or it ran elsewhere; send the request again without resume_token"
        )


class EventsDropped(Refusal):
    """The stream's next events were dropped to keep memory bounded."""

    def __init__(self) -> None:
        super().__init__(
            "the events after this resume_token are not held any more, to keep memory bounded; send the request again "
            "under a new request_id, or with a smaller stream.frame_encoding"
        )


class RequestIdReused(Refusal):
    """Another request of the caller has this request_id."""

    def __init__(self) -> None:
        super().__init__("another request was sent under this request_id; send this one under a new UUID")


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


class MalformedRequest(Refusal):
    """The bytes are no such message."""

    def __init__(self) -> None:
        super().__init__("the request cannot be read as a message of this method; use stubs of the same version")


class UnknownService(Refusal):
    """Health was asked about a service that is not served here."""

    def __init__(self) -> None:
        super().__init__("no such service is served here")


@dataclass(frozen=True, slots=True)
class Rule:
    """How one kind of error is told. ``public_text`` replaces the error's own; ``retry_seconds`` 0: no retry.

    Errors that know better when to try again say so themselves.
    """

    code: grpc.StatusCode
    reason: str
    meaning: str
    retry_seconds: float = 0.0
    public_text: str = ""


RULES: dict[type[BaseException], Rule] = {
    TokenMissing: Rule(
        grpc.StatusCode.UNAUTHENTICATED, "TOKEN_MISSING", "The call shows no token, nor a certificate in its place."
    ),
    TokenUnknown: Rule(grpc.StatusCode.UNAUTHENTICATED, "TOKEN_UNKNOWN", "The token is not one of the server's."),
    TokenExpired: Rule(grpc.StatusCode.UNAUTHENTICATED, "TOKEN_EXPIRED", "The token has expired."),
    CallerUnknown: Rule(
        grpc.StatusCode.PERMISSION_DENIED, "CALLER_UNKNOWN", "No name in the client certificate may call."
    ),
    QuotaExceeded: Rule(
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        "QUOTA_EXCEEDED",
        "The caller takes as much as it may; which limit is in `QuotaFailure` and in the metadata.",
        retry_seconds=5,
    ),
    InvalidRequest: Rule(grpc.StatusCode.INVALID_ARGUMENT, "INVALID_JOB", "Fields are wrong; each is in `BadRequest`."),
    MalformedRequest: Rule(
        grpc.StatusCode.INVALID_ARGUMENT, "MALFORMED_REQUEST", "The bytes are no message of this method."
    ),
    SizeNotCompiled: Rule(
        grpc.StatusCode.FAILED_PRECONDITION,
        "NOT_COMPILED",
        "The bundle was not compiled for this size or length; the field is in `BadRequest`.",
    ),
    MatchRefused: Rule(
        grpc.StatusCode.FAILED_PRECONDITION,
        "MATCH_REFUSED",
        "The match score is below `match.minimum_score`; both are in the metadata, the `MatchReport` in the details.",
    ),
    ScorerMissing: Rule(
        grpc.StatusCode.FAILED_PRECONDITION, "SCORER_MISSING", "A match was asked for and the bundle has no scorer."
    ),
    QueueFull: Rule(
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        "QUEUE_FULL",
        "As many jobs wait as may wait; how many is in `QuotaFailure`.",
        retry_seconds=5,
    ),
    OutOfMemory: Rule(
        grpc.StatusCode.UNAVAILABLE,
        "OUT_OF_MEMORY",
        "The device ran out of memory under the job; the engine starts again, which gives all of it back.",
        retry_seconds=10,
        public_text="the device ran out of memory; send the job again, or ask for a smaller size or fewer frames",
    ),
    EngineLost: Rule(
        grpc.StatusCode.UNAVAILABLE,
        "ENGINE_LOST",
        "The engine's process ended under the job; it starts again.",
        retry_seconds=5,
    ),
    EngineHung: Rule(
        grpc.StatusCode.UNAVAILABLE,
        "ENGINE_HUNG",
        "A step took longer than `--max-step-seconds`; the engine's process was ended and starts again.",
        retry_seconds=5,
    ),
    EngineRestarting: Rule(
        grpc.StatusCode.UNAVAILABLE,
        "ENGINE_RESTARTING",
        "The engine's process starts again after a fault.",
        retry_seconds=5,
    ),
    ServerStarting: Rule(
        grpc.StatusCode.UNAVAILABLE, "SERVER_STARTING", "The engine is not open yet.", retry_seconds=2
    ),
    ServerDraining: Rule(
        grpc.StatusCode.UNAVAILABLE, "SERVER_DRAINING", "The server is about to stop.", retry_seconds=1
    ),
    ReaderStalled: Rule(
        grpc.StatusCode.ABORTED, "READER_STALLED", "The reader let a ready message wait longer than it may."
    ),
    BufferFull: Rule(grpc.StatusCode.ABORTED, "BUFFER_FULL", "The reader is slower than the frames."),
    ReaderGone: Rule(
        grpc.StatusCode.ABORTED, "READER_GONE", "Nobody took the stream up again within its window; only counted."
    ),
    JobNotFound: Rule(
        grpc.StatusCode.NOT_FOUND,
        "JOB_NOT_FOUND",
        "The caller has no such job to take up or to cancel, or has it no more.",
    ),
    EventsDropped: Rule(
        grpc.StatusCode.OUT_OF_RANGE,
        "EVENTS_DROPPED",
        "The events after the resume token were dropped to keep memory bounded.",
    ),
    RequestIdReused: Rule(
        grpc.StatusCode.ALREADY_EXISTS, "REQUEST_ID_REUSED", "Another request of the caller has this `request_id`."
    ),
    Cancelled: Rule(grpc.StatusCode.CANCELLED, "CANCELLED", "The caller cancelled."),
    DeadlinePassed: Rule(grpc.StatusCode.DEADLINE_EXCEEDED, "DEADLINE_EXCEEDED", "The caller's deadline is over."),
    DeadlineTooShort: Rule(
        grpc.StatusCode.DEADLINE_EXCEEDED,
        "DEADLINE_TOO_SHORT",
        "Wait and work are known to take longer than the caller's deadline; the figures are in the metadata.",
    ),
    UnknownService: Rule(
        grpc.StatusCode.NOT_FOUND, "UNKNOWN_SERVICE", "Health was asked about a service that is not served here."
    ),
    GraphFailed: Rule(
        grpc.StatusCode.INTERNAL,
        "GRAPH_FAILED",
        "A graph call failed; details are in the log under the request id.",
        public_text="the engine failed; details are in the server's log under this request id",
    ),
}
INTERNAL = Rule(
    grpc.StatusCode.INTERNAL,
    "INTERNAL",
    "Anything unforeseen; details are in the log under the request id.",
    public_text="internal error; details are in the server's log under this request id",
)


def rule_of(error: BaseException) -> Rule:
    """The rule for an error, by its class or the nearest base that has one."""
    return next((RULES[kind] for kind in type(error).__mro__ if kind in RULES), INTERNAL)


def text_of(error: BaseException) -> str:
    """The message for a caller: the error's own, and which values of the request avoid it."""
    if isinstance(error, ScorerMissing):
        return f"{error}, or send {GENERATE_PATHS[error.field]} {_WITHOUT_SCORER[error.field]}"
    if isinstance(error, MatchRefused):
        return f"{error}, or send {GENERATE_PATHS[Field.MATCH_MODE]} REPORT to generate all the same"
    return str(error)


def refusal_of(
    error: InvalidJob | NotCompiled, paths: Mapping[Field, str], violations: tuple[FieldViolation, ...]
) -> Refusal:
    """The refusal of a request by the engine, together with what the codec found wrong in the same request."""
    if isinstance(error, InvalidJob):
        return InvalidRequest(*violations, *located(error.violations, paths))
    if violations:
        return InvalidRequest(*violations)
    return SizeNotCompiled(*located([error.violation], paths))


def is_fault(error: BaseException) -> bool:
    """Whether an error is the server's fault, so that its details belong in the log."""
    return rule_of(error).code is grpc.StatusCode.INTERNAL or isinstance(error, OutOfMemory)


def status_of(error: BaseException, request_id: str) -> grpc.Status:
    """The status that tells a caller about an error."""
    rule = rule_of(error)
    text = rule.public_text or text_of(error)
    if rule.code is grpc.StatusCode.INTERNAL:
        text = f"{text}: {request_id}"
    code_number: int = rule.code.value[0]
    status = status_pb2.Status(code=code_number, message=text)
    for detail in _details(error, rule, request_id):
        packed = any_pb2.Any()
        packed.Pack(detail)
        status.details.append(packed)
    return rpc_status.to_status(status)


def _details(error: BaseException, rule: Rule, request_id: str) -> Iterator[Message]:
    metadata = {"request_id": request_id}
    if isinstance(error, MatchRefused):
        metadata |= {"score": f"{error.score:g}", "minimum_score": f"{error.minimum_score:g}"}
    if isinstance(error, QuotaExceeded):
        metadata |= {"quota": error.quota, "limit": str(error.limit)}
    if isinstance(error, DeadlineTooShort):
        metadata |= {
            "remaining_seconds": f"{error.remaining_seconds:.3f}",
            "wait_seconds": f"{error.wait_seconds:.3f}",
            "work_seconds": f"{error.work_seconds:.3f}",
        }
    yield error_details_pb2.ErrorInfo(reason=rule.reason, domain=DOMAIN, metadata=metadata)
    if isinstance(error, InvalidRequest):
        yield _bad_request(error.violations)
    if isinstance(error, SizeNotCompiled):
        yield _bad_request((error.violation,))
    if isinstance(error, MatchRefused):
        yield _precondition_failure(error, rule, "match.minimum_score")
        yield shortened(encode_match_report(error.report), _MAX_REPORT_BYTES)
    if isinstance(error, ScorerMissing):
        yield _precondition_failure(error, rule, GENERATE_PATHS[error.field])
    retry_seconds = rule.retry_seconds
    if isinstance(error, QuotaExceeded):
        yield _quota_failure(f"caller:{error.caller_name}", error)
    if isinstance(error, QueueFull):
        yield _quota_failure("queue", error)
    if isinstance(error, (QuotaExceeded, QueueFull, EngineLost, EngineRestarting)):
        retry_seconds = error.retry_seconds
    if retry_seconds:
        delay = duration_pb2.Duration()
        delay.FromNanoseconds(round(retry_seconds * 1e9))
        yield error_details_pb2.RetryInfo(retry_delay=delay)


def _bad_request(violations: tuple[FieldViolation, ...]) -> error_details_pb2.BadRequest:
    return error_details_pb2.BadRequest(
        field_violations=[
            error_details_pb2.BadRequest.FieldViolation(field=item.path, description=item.description)
            for item in violations
        ]
    )


def _quota_failure(subject: str, error: Refusal) -> error_details_pb2.QuotaFailure:
    violation = error_details_pb2.QuotaFailure.Violation(subject=subject, description=str(error))
    return error_details_pb2.QuotaFailure(violations=[violation])


def _precondition_failure(error: EngineError, rule: Rule, subject: str) -> error_details_pb2.PreconditionFailure:
    violation = error_details_pb2.PreconditionFailure.Violation(
        type=rule.reason, subject=subject, description=text_of(error)
    )
    return error_details_pb2.PreconditionFailure(violations=[violation])
