"""The statuses of calls that Ray itself ended. Imports nothing of Ray.

Ray's own texts hold stack traces and paths of its machines; none of them reaches a caller.
"""

from __future__ import annotations

import grpc
from grpc_status import rpc_status

from deploy.statuses import NO_REPLICA_FREE, status_message
from server.errors.rules import INTERNAL

_FULL_RETRY_SECONDS = 5
_ABSENT_RETRY_SECONDS = 2
# In the text of an error that a replica raised, which it never does for an error of a call.
_FAULT_MARK = "ray::"
# In the text of an error of another replica or process that reached this one.
_LOST_MARKS = ("ActorDiedError", "ActorUnavailableError")


def status_of(code: grpc.StatusCode, text: str) -> grpc.Status:
    """The status for a caller, from Ray's code and text."""
    if code is grpc.StatusCode.RESOURCE_EXHAUSTED:
        message = "every replica has a job, and no further job may wait; try again later"
        return _refusal(code, message, _FULL_RETRY_SECONDS)
    if code in {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.NOT_FOUND}:
        message = "no replica is running; try again shortly"
        return _refusal(grpc.StatusCode.UNAVAILABLE, message, _ABSENT_RETRY_SECONDS)
    if code is grpc.StatusCode.DEADLINE_EXCEEDED:
        return _plain(code, "the call took longer than Ray Serve's request_timeout_s")
    if code is grpc.StatusCode.CANCELLED:
        return _plain(code, "the call was cancelled")
    if _FAULT_MARK in text and not any(mark in text for mark in _LOST_MARKS):
        message = "internal error; details are in the log of Ray Serve"
        return rpc_status.to_status(status_message(grpc.StatusCode.INTERNAL, message, reason=INTERNAL.reason))
    # The replica is gone. Without a reason, like a broken connection: clients resume the stream.
    return _plain(grpc.StatusCode.UNAVAILABLE, "the replica ended during the call; resume the stream or call again")


def _refusal(code: grpc.StatusCode, message: str, retry_seconds: int) -> grpc.Status:
    return rpc_status.to_status(status_message(code, message, reason=NO_REPLICA_FREE, retry_seconds=retry_seconds))


def _plain(code: grpc.StatusCode, message: str) -> grpc.Status:
    return rpc_status.to_status(status_message(code, message))
