"""Converts gRPC errors to ``stillcue.errors`` by two tables: of reasons, then of statuses.

Reads the google.rpc details ErrorInfo, BadRequest, RetryInfo and RequestInfo, and the report of a refused match. For a
server or proxy that sends no details, the status alone decides.
"""

from __future__ import annotations

from typing import Any, cast

import grpc
from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from stillcue.errors import (
    AccessDenied,
    Cancelled,
    DeadlineExceeded,
    ErrorDetails,
    FailedPrecondition,
    InvalidRequest,
    MatchRefused,
    OutOfMemory,
    Overloaded,
    ReaderTooSlow,
    ResumeFailed,
    ServerError,
    StillcueError,
    Unavailable,
    Unsupported,
    Violation,
)
from stillcue.reports import decode_match_report
from stillcue.v1 import match_pb2

ERROR_BY_STATUS: dict[grpc.StatusCode, type[StillcueError]] = {
    grpc.StatusCode.INVALID_ARGUMENT: InvalidRequest,
    grpc.StatusCode.OUT_OF_RANGE: InvalidRequest,
    grpc.StatusCode.ALREADY_EXISTS: InvalidRequest,
    grpc.StatusCode.FAILED_PRECONDITION: FailedPrecondition,
    grpc.StatusCode.NOT_FOUND: FailedPrecondition,
    grpc.StatusCode.UNAUTHENTICATED: AccessDenied,
    grpc.StatusCode.PERMISSION_DENIED: AccessDenied,
    grpc.StatusCode.RESOURCE_EXHAUSTED: Overloaded,
    grpc.StatusCode.DEADLINE_EXCEEDED: DeadlineExceeded,
    grpc.StatusCode.CANCELLED: Cancelled,
    grpc.StatusCode.UNAVAILABLE: Unavailable,
    grpc.StatusCode.ABORTED: Unavailable,
    # Proxies send this when the backend dies in mid-stream.
    grpc.StatusCode.UNKNOWN: Unavailable,
    grpc.StatusCode.UNIMPLEMENTED: Unsupported,
    grpc.StatusCode.INTERNAL: ServerError,
    grpc.StatusCode.DATA_LOSS: ServerError,
}
ERROR_BY_REASON: dict[str, type[StillcueError]] = {
    "MATCH_REFUSED": MatchRefused,
    "OUT_OF_MEMORY": OutOfMemory,
    "READER_STALLED": ReaderTooSlow,
    "BUFFER_FULL": ReaderTooSlow,
    "JOB_NOT_FOUND": ResumeFailed,
    "EVENTS_DROPPED": ResumeFailed,
    "REPLICA_DIFFERS": ResumeFailed,
    "CLIP_DIFFERS": ResumeFailed,
}

# Statuses that gRPC gives by itself to a call that reaches no server.
_UNANSWERED = frozenset({grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED})


def error_of(call: grpc.RpcError, request_id: str | None = None, proxy_note: str = "") -> StillcueError:
    """Returns the typed error of a failed call; grpc's RpcError objects are calls too.

    ``request_id`` is the caller's id of the call; an id in the server's details takes precedence. ``proxy_note`` is
    added to the message of a call that no server answered.
    """
    code: grpc.StatusCode = call.code()
    details = _details(call, code, request_id)
    kind = ERROR_BY_REASON.get(details.reason or "") or ERROR_BY_STATUS.get(code, ServerError)
    message = call.details() or f"the call ended with {code.name}"
    if proxy_note and details.reason is None and code in _UNANSWERED:
        message = f"{message}; {proxy_note}"
    return kind(message, details)


def closed_client(request_id: str | None) -> StillcueError:
    """Returns the error of a call that was cancelled by closing its stream or client."""
    details = ErrorDetails(status=grpc.StatusCode.CANCELLED.name, request_id=request_id)
    return Cancelled("the call was cancelled because its stream or client was closed", details)


def _details(call: grpc.RpcError, code: grpc.StatusCode, request_id: str | None) -> ErrorDetails:
    try:
        packed = tuple(getattr(rpc_status.from_call(cast("grpc.Call", call)), "details", ()))
        info = _unpack(packed, error_details_pb2.ErrorInfo)
        fields = _unpack(packed, error_details_pb2.BadRequest).field_violations
        retry = _unpack(packed, error_details_pb2.RetryInfo)
        request = _unpack(packed, error_details_pb2.RequestInfo)
        report = _unpack(packed, match_pb2.MatchReport)
    except (ValueError, DecodeError):  # unreadable details are ignored
        return ErrorDetails(status=code.name, request_id=request_id)
    return ErrorDetails(
        status=code.name,
        reason=info.reason or None,
        request_id=request.request_id or info.metadata.get("request_id") or request_id,
        violations=tuple(Violation(item.field, item.description) for item in fields),
        retry_after_seconds=retry.retry_delay.ToNanoseconds() / 1e9 if retry.HasField("retry_delay") else None,
        metadata=dict(info.metadata),
        match_report=decode_match_report(report) if report.ByteSize() else None,
    )


def _unpack(packed: tuple[Any, ...], kind: Any) -> Any:
    """Returns the first detail of type ``kind``, or an empty message of that type."""
    message = kind()
    any(item.Unpack(message) for item in packed)
    return message
