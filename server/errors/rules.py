"""The table of error reasons: status code, reason and retry of each error of the engine and the server.

The reasons are part of the contract (docs/errors.md) and the label values of the job metrics. An error without a row is
an internal error: its text goes to the log, and the caller gets the request id to quote.
"""

from __future__ import annotations

from dataclasses import dataclass

import grpc

from engine.api.errors import (
    Cancelled,
    DeviceLost,
    EngineHung,
    EngineLost,
    EngineRestarting,
    GraphFailed,
    MatchRefused,
    NonFiniteValues,
    OutOfMemory,
    ScorerMissing,
    VideoFailed,
)
from server.errors.refusals import (
    QUEUE_RETRY_SECONDS,
    BufferFull,
    CallerUnknown,
    ClipDiffers,
    DeadlinePassed,
    DeadlineTooShort,
    EventsDropped,
    InvalidRequest,
    JobNotFound,
    MalformedRequest,
    QueueFull,
    QuotaExceeded,
    ReaderGone,
    ReaderStalled,
    ReplicaDiffers,
    RequestIdReused,
    ServerDraining,
    ServerStarting,
    SizeNotCompiled,
    SuccessFitMissing,
    TokenExpired,
    TokenMissing,
    TokenUnknown,
    UnknownMethod,
    UnknownService,
)


@dataclass(frozen=True, slots=True)
class Rule:
    """How one kind of error is reported to callers and operators.

    ``public_text`` replaces the text of the error. ``retry_seconds`` 0: no retry is advised; some errors carry a better
    value of their own.
    """

    code: grpc.StatusCode
    reason: str
    meaning: str
    retry_seconds: float = 0.0
    public_text: str = ""

    @property
    def label(self) -> str:
        """The reason in lower case, as a metric's label value."""
        return self.reason.lower()


RULES: dict[type[BaseException], Rule] = {
    TokenMissing: Rule(
        grpc.StatusCode.UNAUTHENTICATED, "TOKEN_MISSING", "The call has neither a token nor a client certificate."
    ),
    TokenUnknown: Rule(grpc.StatusCode.UNAUTHENTICATED, "TOKEN_UNKNOWN", "The server does not know the token."),
    TokenExpired: Rule(grpc.StatusCode.UNAUTHENTICATED, "TOKEN_EXPIRED", "The token has expired."),
    CallerUnknown: Rule(
        grpc.StatusCode.PERMISSION_DENIED, "CALLER_UNKNOWN", "No name in the client certificate is listed as a caller."
    ),
    QuotaExceeded: Rule(
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        "QUOTA_EXCEEDED",
        "The caller has reached a limit; `QuotaFailure` and the metadata name it.",
        retry_seconds=5,
    ),
    InvalidRequest: Rule(grpc.StatusCode.INVALID_ARGUMENT, "INVALID_JOB", "Fields are wrong; `BadRequest` lists them."),
    MalformedRequest: Rule(
        grpc.StatusCode.INVALID_ARGUMENT, "MALFORMED_REQUEST", "The request does not parse as a message of this method."
    ),
    SizeNotCompiled: Rule(
        grpc.StatusCode.FAILED_PRECONDITION,
        "NOT_COMPILED",
        "The bundle was not compiled for this size or length; `BadRequest` names the field.",
    ),
    MatchRefused: Rule(
        grpc.StatusCode.FAILED_PRECONDITION,
        "MATCH_REFUSED",
        "The match score is below `match.minimum_score`; both are in the metadata, the `MatchReport` in the details.",
    ),
    ScorerMissing: Rule(
        grpc.StatusCode.FAILED_PRECONDITION,
        "SCORER_MISSING",
        "The request asks for a match, and the bundle has no scorer.",
    ),
    SuccessFitMissing: Rule(
        grpc.StatusCode.FAILED_PRECONDITION,
        "SUCCESS_FIT_MISSING",
        "The request asks for several attempts, and the bundle has no fitted success of clips to judge them by.",
    ),
    QueueFull: Rule(
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        "QUEUE_FULL",
        "The queue is full; `QuotaFailure` holds its capacity.",
        retry_seconds=QUEUE_RETRY_SECONDS,
    ),
    OutOfMemory: Rule(
        grpc.StatusCode.UNAVAILABLE,
        "OUT_OF_MEMORY",
        "The device ran out of memory during the job; the worker process is restarted, which frees all of its memory.",
        retry_seconds=10,
        public_text="the device ran out of memory; send the job again, or ask for a smaller size or fewer frames",
    ),
    EngineLost: Rule(
        grpc.StatusCode.UNAVAILABLE,
        "ENGINE_LOST",
        "The worker process ended during the job, or the GPU failed under it; the process is being restarted.",
        retry_seconds=5,
    ),
    EngineHung: Rule(
        grpc.StatusCode.UNAVAILABLE,
        "ENGINE_HUNG",
        "A step took longer than `--max-step-seconds`; the worker process was killed and is being restarted.",
        retry_seconds=5,
    ),
    EngineRestarting: Rule(
        grpc.StatusCode.UNAVAILABLE,
        "ENGINE_RESTARTING",
        "The worker process is being restarted after a fault.",
        retry_seconds=5,
    ),
    ServerStarting: Rule(
        grpc.StatusCode.UNAVAILABLE, "SERVER_STARTING", "The engine is still loading.", retry_seconds=2
    ),
    ServerDraining: Rule(
        grpc.StatusCode.UNAVAILABLE, "SERVER_DRAINING", "The server is shutting down.", retry_seconds=1
    ),
    ReaderStalled: Rule(
        grpc.StatusCode.ABORTED, "READER_STALLED", "A ready message waited for the reader longer than allowed."
    ),
    BufferFull: Rule(
        grpc.StatusCode.ABORTED, "BUFFER_FULL", "The reader is slower than the frames come, and the buffer is full."
    ),
    ReaderGone: Rule(
        grpc.StatusCode.ABORTED,
        "READER_GONE",
        "No call resumed the stream within its resume window. Appears in metrics only.",
    ),
    JobNotFound: Rule(
        grpc.StatusCode.NOT_FOUND,
        "JOB_NOT_FOUND",
        "The caller has no such job to resume or to cancel, or the server no longer holds the job.",
    ),
    ReplicaDiffers: Rule(
        grpc.StatusCode.FAILED_PRECONDITION,
        "REPLICA_DIFFERS",
        "The job to resume began on a server with another bundle, device, default or version.",
    ),
    ClipDiffers: Rule(
        grpc.StatusCode.FAILED_PRECONDITION,
        "CLIP_DIFFERS",
        "The job was done again on an equal server, and its clip differs from the events that were sent before.",
    ),
    EventsDropped: Rule(
        grpc.StatusCode.OUT_OF_RANGE,
        "EVENTS_DROPPED",
        "The events after the resume token were dropped to keep memory bounded.",
    ),
    RequestIdReused: Rule(
        grpc.StatusCode.ALREADY_EXISTS, "REQUEST_ID_REUSED", "The caller used this `request_id` for another request."
    ),
    Cancelled: Rule(grpc.StatusCode.CANCELLED, "CANCELLED", "The caller cancelled."),
    DeadlinePassed: Rule(grpc.StatusCode.DEADLINE_EXCEEDED, "DEADLINE_EXCEEDED", "The caller's deadline has passed."),
    DeadlineTooShort: Rule(
        grpc.StatusCode.DEADLINE_EXCEEDED,
        "DEADLINE_TOO_SHORT",
        "The estimated wait and work exceed the caller's deadline; the metadata holds the figures.",
    ),
    UnknownService: Rule(
        grpc.StatusCode.NOT_FOUND,
        "UNKNOWN_SERVICE",
        "The health request names a service that this server does not have.",
    ),
    UnknownMethod: Rule(
        grpc.StatusCode.UNIMPLEMENTED,
        "UNKNOWN_METHOD",
        "The server does not implement the method that the call names.",
    ),
    GraphFailed: Rule(
        grpc.StatusCode.INTERNAL,
        "GRAPH_FAILED",
        "A graph call failed; details are in the log under the request id.",
        public_text="the engine failed; details are in the server's log under this request id",
    ),
    NonFiniteValues: Rule(
        grpc.StatusCode.INTERNAL,
        "NON_FINITE_VALUES",
        "A part of the model computed NaN or infinity; the message names the part, its precision and the remedy. The "
        "same request fails again.",
    ),
    VideoFailed: Rule(
        grpc.StatusCode.INTERNAL,
        "VIDEO_FAILED",
        "The encoder of `stream.video_container` failed; details are in the log under the request id. The same request "
        "without a container does not need it.",
        public_text="the video encoder failed; send the request again, or without stream.video_container for the "
        "frames alone; details are in the server's log under this request id",
    ),
}
INTERNAL = Rule(
    grpc.StatusCode.INTERNAL,
    "INTERNAL",
    "An unexpected error; details are in the log under the request id.",
    public_text="internal error; details are in the server's log under this request id",
)


_SERVER_FAULTS = (GraphFailed, NonFiniteValues, VideoFailed, OutOfMemory, EngineLost, EngineHung)


def all_rules() -> list[Rule]:
    """Every rule, ``INTERNAL`` last."""
    return [*RULES.values(), INTERNAL]


def rule_of(error: BaseException) -> Rule:
    """The rule of an error: that of its class, or of the nearest base class in the table."""
    return next((RULES[kind] for kind in type(error).__mro__ if kind in RULES), INTERNAL)


def is_logged(error: BaseException) -> bool:
    """The details of the error belong in the log."""
    return rule_of(error).code is grpc.StatusCode.INTERNAL or isinstance(error, (OutOfMemory, DeviceLost))


def is_server_fault(error: BaseException) -> bool:
    """The server or its engine caused the error, not the caller."""
    return rule_of(error) in {INTERNAL, *(RULES[kind] for kind in _SERVER_FAULTS)}
