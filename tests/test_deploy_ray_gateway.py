"""The gateway over a real gRPC server; behaviours that act like those of Ray's proxy stand in for Ray."""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import grpc
import grpc.aio
import pytest
from google.rpc import error_details_pb2

from deploy.ray.gateway import GatewayHandlers
from deploy.ray.metadata import DEADLINE_HEADER
from stillcue.proxies import DIRECT
from tests.serving import PATIENCE_SECONDS, detail, failure_of, reason

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

METHOD = "/stillcue.v1.StillcueService/Generate"
_ENDED_IN_TIME = 30.0


@asynccontextmanager
async def gateway(behaviour: Any, *, max_stall_seconds: float = _ENDED_IN_TIME) -> AsyncIterator[Any]:
    """A call to a gateway in which Ray's behaviour is ``behaviour``."""
    handlers = GatewayHandlers({METHOD: True}, max_stall_seconds)
    # As Ray does it.
    handlers._method_handlers = {
        method: handler._replace(unary_stream=behaviour)  # type: ignore[attr-defined]
        for method, handler in handlers._method_handlers.items()
    }
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((handlers,))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}", options=DIRECT) as channel:
            yield channel.unary_stream(METHOD, None, None)
    finally:
        await server.stop(None)


async def test_the_message_that_carries_a_status_is_not_sent() -> None:
    async def behaviour(request: bytes, context: Any) -> AsyncIterator[bytes]:
        assert request == b"request"
        yield b"1"
        context.set_code(grpc.StatusCode.NOT_FOUND)
        context.set_details("no")
        context.set_trailing_metadata([("request_id", "x"), ("grpc-status-details-bin", b"\x08\x05\x12\x02no")])
        yield b""

    async with gateway(behaviour) as method:
        call = method(b"request")
        assert [await anext(aiter(call))] == [b"1"]
        error = await failure_of(call)
    assert (error.code(), error.details()) == (grpc.StatusCode.NOT_FOUND, "no")


async def test_a_deadline_becomes_a_time_and_a_callers_own_is_dropped() -> None:
    seen: list[Any] = []

    async def behaviour(_request: bytes, context: Any) -> AsyncIterator[bytes]:
        seen.append(dict(context.invocation_metadata()))
        yield b"1"
        context.set_code(grpc.StatusCode.OK)

    before = time.time()
    async with gateway(behaviour) as method:
        assert [message async for message in method(b"", timeout=50, metadata=((DEADLINE_HEADER, "1"),))] == [b"1"]
        assert [message async for message in method(b"", metadata=(("stillcue-replica", "k"),))] == [b"1"]
    assert before + 40 < float(seen[0][DEADLINE_HEADER]) < time.time() + 51
    assert seen[1]["stillcue-replica"] == "k"
    assert DEADLINE_HEADER not in seen[1]


async def test_rays_own_error_is_replaced() -> None:
    async def behaviour(_request: bytes, context: Any) -> AsyncIterator[bytes]:
        yield b"1"
        context.set_code(grpc.StatusCode.RESOURCE_EXHAUSTED)
        context.set_details("Request dropped due to backpressure (num_queued_requests=2)")

    async with gateway(behaviour) as method:
        error = await failure_of(method(b""))
    assert reason(error) == "NO_REPLICA_FREE"
    assert "backpressure" not in (error.details() or "")
    assert detail(error, error_details_pb2.RetryInfo) is not None


@pytest.mark.parametrize("is_sending", [False, True])
async def test_a_cancel_reaches_ray_also_while_a_message_is_sent(*, is_sending: bool) -> None:
    """Ray notices it where it waits for the next message, swallows it, and ends with a status."""
    waits, ended = asyncio.Event(), asyncio.Event()

    async def behaviour(_request: bytes, context: Any) -> AsyncIterator[bytes]:
        yield b"1"
        if is_sending:
            waits.set()
            for _ in range(64):  # more than the caller, who does not read, takes
                yield bytes(2**20)
        try:
            waits.set()
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            ended.set()
            context.set_code(grpc.StatusCode.CANCELLED)

    async with gateway(behaviour) as method:
        call = method(b"")
        await anext(aiter(call))
        await asyncio.wait_for(waits.wait(), PATIENCE_SECONDS)
        call.cancel()
        await asyncio.wait_for(ended.wait(), PATIENCE_SECONDS)


async def test_a_reader_that_stalls_ends_the_call() -> None:
    ended = asyncio.Event()

    async def behaviour(_request: bytes, _context: Any) -> AsyncIterator[bytes]:
        for _ in range(64):
            yield bytes(2**20)
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            ended.set()

    async with gateway(behaviour, max_stall_seconds=0.05) as method:
        call = method(b"")
        await asyncio.wait_for(ended.wait(), PATIENCE_SECONDS)
        error = await failure_of(call)
    assert (error.code(), reason(error)) == (grpc.StatusCode.ABORTED, "READER_STALLED")
