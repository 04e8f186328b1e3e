"""Every way in which a call can fail, as an exception of both clients."""

from __future__ import annotations

import pickle
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from google.protobuf import any_pb2, duration_pb2
from google.rpc import error_details_pb2, status_pb2

import stillcue
from server.errors.rules import RULES
from stillcue.cli.failures import describe
from stillcue.status import ERROR_BY_REASON, ERROR_BY_STATUS
from tests.client_calls import generate, generate_asynchronously
from tests.scripted_server import Response, ScriptedServer, a_clip, accepted, frame, refuse, summary

if TYPE_CHECKING:
    from collections.abc import Iterator

    from google.protobuf.message import Message

    from stillcue.v1 import generate_pb2


Call = Callable[[str], None]


def failing(code: grpc.StatusCode, message: str, *details: Message, after: int = 0) -> Any:
    """A script that fails after so many events."""

    def script(request: generate_pb2.GenerateRequest, context: Any) -> Iterator[Response]:
        for _, response in zip(range(after), a_clip(request, context), strict=False):
            yield response
        refuse(context, code, message, *details)

    return script


STATUSES = {
    grpc.StatusCode.INVALID_ARGUMENT: stillcue.InvalidRequest,
    grpc.StatusCode.OUT_OF_RANGE: stillcue.InvalidRequest,
    grpc.StatusCode.FAILED_PRECONDITION: stillcue.FailedPrecondition,
    grpc.StatusCode.NOT_FOUND: stillcue.FailedPrecondition,
    grpc.StatusCode.UNAUTHENTICATED: stillcue.AccessDenied,
    grpc.StatusCode.PERMISSION_DENIED: stillcue.AccessDenied,
    grpc.StatusCode.RESOURCE_EXHAUSTED: stillcue.Overloaded,
    grpc.StatusCode.DEADLINE_EXCEEDED: stillcue.DeadlineExceeded,
    grpc.StatusCode.CANCELLED: stillcue.Cancelled,
    grpc.StatusCode.UNAVAILABLE: stillcue.Unavailable,
    grpc.StatusCode.ABORTED: stillcue.Unavailable,
    grpc.StatusCode.UNKNOWN: stillcue.Unavailable,
    grpc.StatusCode.UNIMPLEMENTED: stillcue.Unsupported,
    grpc.StatusCode.INTERNAL: stillcue.ServerError,
    grpc.StatusCode.DATA_LOSS: stillcue.ServerError,
    grpc.StatusCode.ALREADY_EXISTS: stillcue.InvalidRequest,
}


@pytest.mark.parametrize(("code", "kind"), STATUSES.items(), ids=lambda item: getattr(item, "name", ""))
@pytest.mark.parametrize("after", [0, 3])
async def test_a_status_without_details(
    server: ScriptedServer, code: grpc.StatusCode, kind: type[stillcue.StillcueError], after: int
) -> None:
    def script(request: generate_pb2.GenerateRequest, context: Any) -> Iterator[Response]:
        for _, response in zip(range(after), a_clip(request, context), strict=False):
            yield response
        context.abort(code, "the reason in words")

    server.generate = script
    with pytest.raises(kind) as caught:
        generate(server.target)
    with pytest.raises(kind) as caught_asynchronously:
        await generate_asynchronously(server.target)
    for error in (caught.value, caught_asynchronously.value):
        assert type(error) is kind
        assert str(error) == "the reason in words"
        assert error.details == stillcue.ErrorDetails(status=code.name, request_id="an-id")


def test_every_status_has_its_error() -> None:
    assert set(STATUSES) == set(ERROR_BY_STATUS)


async def test_wrong_fields(server: ScriptedServer) -> None:
    server.generate = failing(
        grpc.StatusCode.INVALID_ARGUMENT,
        "prompt: is empty; video.frame_count: is 10",
        error_details_pb2.ErrorInfo(reason="INVALID_JOB", domain="stillcue", metadata={"request_id": "server-id"}),
        error_details_pb2.BadRequest(
            field_violations=[
                {"field": "prompt", "description": "is empty"},
                {"field": "video.frame_count", "description": "is 10"},
            ]
        ),
    )
    with pytest.raises(stillcue.InvalidRequest) as caught:
        generate(server.target)
    with pytest.raises(stillcue.InvalidRequest) as caught_asynchronously:
        await generate_asynchronously(server.target)
    for error in (caught.value, caught_asynchronously.value):
        assert error.violations == (
            stillcue.Violation("prompt", "is empty"),
            stillcue.Violation("video.frame_count", "is 10"),
        )
        assert (error.status, error.reason, error.request_id) == ("INVALID_ARGUMENT", "INVALID_JOB", "server-id")
    assert describe(caught.value, server.target).splitlines() == [
        "the request is wrong:",
        "  SENTENCE is empty",
        "  --frames is 10",
        "  request id: server-id",
    ]


def test_overload_says_when_to_try_again(server: ScriptedServer) -> None:
    server.generate = failing(
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        "the queue is full",
        error_details_pb2.ErrorInfo(reason="QUEUE_FULL", domain="stillcue"),
        error_details_pb2.RetryInfo(retry_delay=duration_pb2.Duration(seconds=2, nanos=500_000_000)),
        error_details_pb2.RequestInfo(request_id="server-id"),
    )
    with pytest.raises(stillcue.Overloaded) as caught:
        generate(server.target)
    assert caught.value.retry_after_seconds == 2.5
    assert caught.value.request_id == "server-id"
    assert describe(caught.value, server.target).splitlines() == [
        "the server has no room now: the queue is full",
        "  try again in 2.5 s",
        "  request id: server-id",
    ]


@pytest.mark.parametrize(("reason", "kind"), ERROR_BY_REASON.items())
def test_reasons_go_before_statuses(server: ScriptedServer, reason: str, kind: type[stillcue.StillcueError]) -> None:
    info = error_details_pb2.ErrorInfo(reason=reason, domain="stillcue", metadata={"score": "31"})
    server.generate = failing(grpc.StatusCode.FAILED_PRECONDITION, "no", info, after=3)
    with pytest.raises(kind) as caught:
        generate(server.target)
    assert caught.value.details.metadata == {"score": "31"}


def test_the_servers_reasons_are_known() -> None:
    assert set(ERROR_BY_REASON) <= {rule.reason for rule in RULES.values()}
    assert {rule.code for rule in RULES.values()} <= set(ERROR_BY_STATUS)


UNREADABLE_INFO = any_pb2.Any(type_url="type.googleapis.com/google.rpc.ErrorInfo", value=b"\xff\xff")


@pytest.mark.parametrize(
    "details",
    [
        b"\xff\xff no message",
        status_pb2.Status(code=5, message="no").SerializeToString(),  # another status than the call's
        status_pb2.Status(code=3, message="other").SerializeToString(),  # another message than the call's
        status_pb2.Status(code=3, message="no", details=[UNREADABLE_INFO]).SerializeToString(),
    ],
)
def test_details_that_nobody_can_read_count_as_none(server: ScriptedServer, details: bytes) -> None:
    def script(_request: generate_pb2.GenerateRequest, context: Any) -> Iterator[Response]:
        context.set_trailing_metadata((("grpc-status-details-bin", details),))
        context.abort(grpc.StatusCode.INVALID_ARGUMENT, "no")
        yield Response()

    server.generate = script
    with pytest.raises(stillcue.InvalidRequest) as caught:
        generate(server.target)
    assert caught.value.details == stillcue.ErrorDetails(status="INVALID_ARGUMENT", request_id="an-id")


async def test_a_stream_without_a_summary_is_a_fault(server: ScriptedServer) -> None:
    def script(request: generate_pb2.GenerateRequest, _context: Any) -> Iterator[Response]:
        yield accepted(request)
        yield frame(0)

    server.generate = script
    with pytest.raises(stillcue.ServerError, match="before its summary"):
        generate(server.target)
    with pytest.raises(stillcue.ServerError, match="before its summary"):
        await generate_asynchronously(server.target)


async def test_a_stream_that_does_not_open_with_accepted_is_a_fault(server: ScriptedServer) -> None:
    def script(request: generate_pb2.GenerateRequest, _context: Any) -> Iterator[Response]:
        yield frame(0)
        yield summary(request)

    server.generate = script
    with pytest.raises(stillcue.ServerError, match="opened with Frame"):
        generate(server.target)
    with pytest.raises(stillcue.ServerError, match="opened with Frame"):
        await generate_asynchronously(server.target)


async def test_the_deadline(server: ScriptedServer) -> None:
    def script(request: generate_pb2.GenerateRequest, context: Any) -> Iterator[Response]:
        yield accepted(request)
        is_over = threading.Event()
        if context.add_callback(is_over.set):
            is_over.wait()  # or a clip that is quicker than gRPC's clock comes to its end

    server.generate = script
    with pytest.raises(stillcue.DeadlineExceeded):
        generate(server.target, timeout_seconds=0.0)
    with pytest.raises(stillcue.DeadlineExceeded):
        await generate_asynchronously(server.target, timeout_seconds=0.0)


def test_errors_survive_pickling() -> None:
    error = stillcue.Overloaded("full", stillcue.ErrorDetails(status="RESOURCE_EXHAUSTED", retry_after_seconds=2.0))
    copy = pickle.loads(pickle.dumps(error))
    assert (type(copy), str(copy), copy.details) == (type(error), "full", error.details)
