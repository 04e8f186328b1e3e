"""The answers that HAProxy gives by itself, as error files: gRPC statuses in a response without messages.

A gRPC client reads the status from the headers where the headers also end the response ("Trailers-Only" in
https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md), and only where the status of HTTP is 200.
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING
from urllib.parse import quote

import grpc

from deploy.statuses import NO_REPLICA_FREE, status_message

if TYPE_CHECKING:
    from google.rpc.status_pb2 import Status


def refusal(retry_seconds: int) -> bytes:
    """Returns the answer to a call that found no free server in time, with ErrorInfo and RetryInfo."""
    message = f"no server is free: the queue of the proxy is full, or no server is up; try again in {retry_seconds} s"
    return _error_file(
        status_message(grpc.StatusCode.UNAVAILABLE, message, reason=NO_REPLICA_FREE, retry_seconds=retry_seconds)
    )


def broken_connection() -> bytes:
    """Returns the answer to a call whose server went away before its first answer.

    It has no reason, so that a client treats it as any other broken connection and resumes.
    """
    message = "the connection to the server broke before its first answer"
    return _error_file(status_message(grpc.StatusCode.UNAVAILABLE, message))


def _error_file(status: Status) -> bytes:
    headers = {
        "content-type": "application/grpc",
        "content-length": "0",
        "grpc-status": str(status.code),
        "grpc-message": quote(status.message, safe=" !\"#$&'()*+,-./:;<=>?@[]^_`{|}~"),
    }
    if status.details:
        headers["grpc-status-details-bin"] = base64.b64encode(status.SerializeToString()).decode()
    lines = ["HTTP/1.1 200 OK", *(f"{name}: {value}" for name, value in headers.items()), "", ""]
    return "\r\n".join(lines).encode("ascii")
