"""Keepalive pings of callers on a silent stream, from a real client of gRPC against a real server."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
import grpc.aio
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from engine.testing.fake_engine import FakeEngine
from server.lifecycle.ports import grpc_options
from server.settings import Settings
from tests.serving import served

# gRPC closes a connection at the third ping that comes too early.
PINGS = 5
PING_SECONDS = 1.0  # gRPC's clients ping at most once a second
OPTIONS = (
    ("grpc.keepalive_time_ms", round(PING_SECONDS * 1000)),
    ("grpc.keepalive_timeout_ms", 5000),
    ("grpc.http2.max_pings_without_data", 0),
    ("grpc.use_local_subchannel_pool", 1),
)


async def watch_in_silence(target: str) -> grpc.aio.AioRpcError | None:
    """Watches the health service, which sends one message and is silent; returns the error that ends the stream."""
    async with grpc.aio.insecure_channel(target, options=OPTIONS) as channel:
        stub: Any = health_pb2_grpc.HealthStub(channel)
        watch = stub.Watch(health_pb2.HealthCheckRequest())
        await watch.read()
        try:
            async with asyncio.timeout(PINGS * PING_SECONDS + 1):
                await watch.read()
        except TimeoutError:
            return None
        except grpc.aio.AioRpcError as error:
            return error
        raise AssertionError("the stream ended without an error")


async def test_what_callers_may_do_does_not_follow_from_what_the_server_does() -> None:
    """A caller pings far more often than the server, and no more often than it may."""
    async with served(FakeEngine(), keepalive_seconds=300, caller_ping_seconds=PING_SECONDS / 2) as server:
        assert await watch_in_silence(str(server.address)) is None


async def test_a_caller_that_pings_too_often_is_disconnected() -> None:
    """The server itself pings as often as the caller, which changes nothing."""
    async with served(FakeEngine(), keepalive_seconds=1, caller_ping_seconds=60) as server:
        error = await watch_in_silence(str(server.address))
    assert error is not None
    assert error.code() is grpc.StatusCode.UNAVAILABLE
    assert "Too many pings" in str(error.details())


@pytest.mark.parametrize("keepalive_seconds", [1.0, 10.0, 300.0])
def test_a_caller_may_ping_every_ten_seconds_by_default(keepalive_seconds: float) -> None:
    options = dict(grpc_options(Settings(engine="fake", keepalive_seconds=keepalive_seconds)))
    assert options["grpc.http2.min_ping_interval_without_data_ms"] == 5_000
    assert options["grpc.keepalive_time_ms"] == keepalive_seconds * 1000
