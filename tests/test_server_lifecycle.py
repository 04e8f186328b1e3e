"""Start, health, reflection, drain and stop of a server in this process."""

from __future__ import annotations

import asyncio
import socket
from threading import Event, Semaphore
from typing import TYPE_CHECKING, Any

import grpc
import grpc.aio
import pytest
from google.rpc import error_details_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from engine.testing.fake_engine import FakeEngine
from server.lifecycle.core import SERVICE_NAME
from server.lifecycle.server import Server
from server.rpc.health import LIVENESS
from server.settings import Address, Settings
from stillcue.v1 import capabilities_pb2
from tests.fake_job import GRAPH_CALL_COUNT
from tests.serving import (
    PATIENCE_SECONDS,
    detail,
    failure_of,
    generate_request,
    kinds,
    read_all,
    reason,
    served,
    stub_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable


SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


def health_of(channel: grpc.aio.Channel) -> Any:
    return health_pb2_grpc.HealthStub(channel)


async def check(channel: grpc.aio.Channel, service: str = "") -> int:
    response = await health_of(channel).Check(health_pb2.HealthCheckRequest(service=service))
    return int(response.status)


@pytest.mark.parametrize("service", ["", LIVENESS, SERVICE_NAME])
async def test_health_is_told_for_the_server_and_for_its_service(service: str) -> None:
    async with served(FakeEngine()) as server:
        assert await check(server.channel, service) == SERVING
        watch = health_of(server.channel).Watch(health_pb2.HealthCheckRequest(service=service))
        assert (await anext(aiter(watch))).status == SERVING
        watch.cancel()


async def test_health_of_a_stranger_is_unknown() -> None:
    request = health_pb2.HealthCheckRequest(service="stranger")
    async with served(FakeEngine()) as server:
        error = await failure_of(health_of(server.channel).Check(request))
        assert error.code() is grpc.StatusCode.NOT_FOUND
        assert reason(error) == "UNKNOWN_SERVICE"
        watch = health_of(server.channel).Watch(request)
        assert (await anext(aiter(watch))).status == health_pb2.HealthCheckResponse.SERVICE_UNKNOWN
        watch.cancel()


async def test_reflection_lists_the_service() -> None:
    request = reflection_pb2.ServerReflectionRequest(list_services="")
    async with served(FakeEngine()) as server:
        stub: Any = reflection_pb2_grpc.ServerReflectionStub(server.channel)
        (response,) = [item async for item in stub.ServerReflectionInfo(iter([request]))]
    names = {service.name for service in response.list_services_response.service}
    assert names == {SERVICE_NAME, "grpc.health.v1.Health", "grpc.reflection.v1alpha.ServerReflection"}


async def test_calls_are_refused_until_the_engine_is_open() -> None:
    free = Address("127.0.0.1", 0)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = Address(*probe.getsockname())
    may_open = Event()

    def open_engine() -> FakeEngine:
        may_open.wait()
        return FakeEngine()

    server = Server(Settings(listen=address, metrics_listen=free, engine="fake"), open_engine)
    starting = asyncio.create_task(server.start())
    try:
        async with grpc.aio.insecure_channel(str(address)) as channel:
            await asyncio.wait_for(channel.channel_ready(), PATIENCE_SECONDS)
            watch = health_of(channel).Watch(health_pb2.HealthCheckRequest())
            assert (await anext(aiter(watch))).status == NOT_SERVING
            assert await check(channel, LIVENESS) == SERVING
            error = await failure_of(stub_of(channel).Generate(generate_request()))
            assert error.code() is grpc.StatusCode.UNAVAILABLE
            assert reason(error) == "SERVER_STARTING"
            may_open.set()
            await starting
            assert (await anext(aiter(watch))).status == SERVING
            assert kinds(await read_all(stub_of(channel).Generate(generate_request())))[-1] == "summary"
            watch.cancel()
    finally:
        may_open.set()
        assert await server.stop()


async def test_a_drain_lets_the_running_job_finish_and_refuses_the_others() -> None:
    gate = Semaphore(0)
    async with served(FakeEngine(gate=gate)) as server:
        watch = health_of(server.channel).Watch(health_pb2.HealthCheckRequest())
        assert (await anext(aiter(watch))).status == SERVING
        running = server.stub.Generate(generate_request())
        await anext(aiter(running))
        waiting = server.stub.Generate(generate_request())
        assert kinds([await anext(aiter(waiting)) for _ in range(2)]) == ["accepted", "queue_update"]
        draining = asyncio.create_task(server.server.drain(asyncio.Event()))
        assert (await anext(aiter(watch))).status == NOT_SERVING
        assert await check(server.channel, SERVICE_NAME) == NOT_SERVING
        assert await check(server.channel, LIVENESS) == SERVING
        for call in (
            waiting,
            server.stub.Generate(generate_request()),
            server.stub.GetCapabilities(capabilities_pb2.GetCapabilitiesRequest()),
        ):
            error = await failure_of(call)
            assert error.code() is grpc.StatusCode.UNAVAILABLE
            assert reason(error) == "SERVER_DRAINING"
            retry = detail(error, error_details_pb2.RetryInfo)
            assert retry is not None
            assert retry.retry_delay.ToSeconds() == 1
        assert not draining.done()
        assert await server.sample("stillcue_draining") == 1
        gate.release(GRAPH_CALL_COUNT)
        assert kinds(await read_all(running))[-1] == "summary"
        await draining
        samples = await server.samples()
        assert samples["stillcue_jobs_total{outcome=completed}"] == 1
        assert samples["stillcue_jobs_total{outcome=server_draining}"] == 1
        assert samples["stillcue_jobs_rejected_total{reason=server_draining}"] == 1
        assert await server.server.stop()
        assert reason(await failure_of(watch)) == "SERVER_DRAINING"


async def test_the_running_job_is_ended_when_the_grace_is_over(promise: Callable[[str, str], None]) -> None:
    gate = Semaphore(0)
    engine = FakeEngine(gate=gate)
    async with served(engine, drain_grace_seconds=0) as server:
        call = server.stub.Generate(generate_request())
        await anext(aiter(call))
        await server.server.drain(asyncio.Event())
        stopping = asyncio.create_task(server.server.stop())
        error = await failure_of(call)
        gate.release()
        assert await stopping
    assert error.code() is grpc.StatusCode.UNAVAILABLE
    assert reason(error) == "SERVER_DRAINING"
    assert engine.graph_calls == []
    promise("drain", "hard stop at the grace: the running job is told")
