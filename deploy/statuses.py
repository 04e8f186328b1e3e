"""Statuses of calls that a proxy in front of servers ends by itself, with the details of the project's errors."""

from __future__ import annotations

from typing import TYPE_CHECKING

from google.protobuf import any_pb2, duration_pb2
from google.rpc import error_details_pb2, status_pb2

from server.rpc.status import DOMAIN

if TYPE_CHECKING:
    import grpc

NO_REPLICA_FREE = "NO_REPLICA_FREE"


def status_message(
    code: grpc.StatusCode, message: str, *, reason: str | None = None, retry_seconds: int | None = None
) -> status_pb2.Status:
    """Returns a status, with ErrorInfo if it has a ``reason``, and with RetryInfo if a call may be sent again."""
    number: int = code.value[0]
    status = status_pb2.Status(code=number, message=message)
    if reason is not None:
        status.details.append(_packed(error_details_pb2.ErrorInfo(reason=reason, domain=DOMAIN)))
    if retry_seconds is not None:
        delay = duration_pb2.Duration(seconds=retry_seconds)
        status.details.append(_packed(error_details_pb2.RetryInfo(retry_delay=delay)))
    return status


def _packed(detail: error_details_pb2.ErrorInfo | error_details_pb2.RetryInfo) -> any_pb2.Any:
    packed = any_pb2.Any()
    packed.Pack(detail)
    return packed
