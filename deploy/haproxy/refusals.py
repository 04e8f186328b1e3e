"""The answers that HAProxy gives by itself, as error files: gRPC statuses in a response without messages.

A gRPC client reads the status from the headers where the headers also end the response ("Trailers-Only" in
https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md), and only where the status of HTTP is 200.
"""

from __future__ import annotations

import base64
from urllib.parse import quote

from google.protobuf import any_pb2, duration_pb2
from google.rpc import code_pb2, error_details_pb2, status_pb2

NO_REPLICA_FREE = "NO_REPLICA_FREE"
_DOMAIN = "stillcue"


def refusal(retry_seconds: int) -> bytes:
    """Returns the answer to a call that found no free server in time, with ErrorInfo and RetryInfo."""
    message = f"no server is free: the queue of the proxy is full, or no server is up; try again in {retry_seconds} s"
    return _error_file(
        message,
        error_details_pb2.ErrorInfo(reason=NO_REPLICA_FREE, domain=_DOMAIN),
        error_details_pb2.RetryInfo(retry_delay=duration_pb2.Duration(seconds=retry_seconds)),
    )


def broken_connection() -> bytes:
    """Returns the answer to a call whose server went away before its first answer.

    It has no reason, so that a client treats it as any other broken connection and resumes.
    """
    return _error_file("the connection to the server broke before its first answer")


def _error_file(message: str, *details: error_details_pb2.ErrorInfo | error_details_pb2.RetryInfo) -> bytes:
    headers = {
        "content-type": "application/grpc",
        "content-length": "0",
        "grpc-status": str(code_pb2.UNAVAILABLE),
        "grpc-message": quote(message, safe=" !\"#$&'()*+,-./:;<=>?@[]^_`{|}~"),
    }
    if details:
        packed = []
        for detail in details:
            item = any_pb2.Any()
            item.Pack(detail)
            packed.append(item)
        status = status_pb2.Status(code=code_pb2.UNAVAILABLE, message=message, details=packed)
        headers["grpc-status-details-bin"] = base64.b64encode(status.SerializeToString()).decode()
    lines = ["HTTP/1.1 200 OK", *(f"{name}: {value}" for name, value in headers.items()), "", ""]
    return "\r\n".join(lines).encode("ascii")
