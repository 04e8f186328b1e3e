"""Start, health, reflection, drain and stop, in this process and in one of its own."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Semaphore
from typing import TYPE_CHECKING, Any

import grpc
import grpc.aio
import pytest
from google.rpc import error_details_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from engine.testing.fake_engine import FakeEngine
from server.lifecycle.server import SERVICE_NAME, Server
from server.settings import Address, Settings
from stillcue.v1 import capabilities_pb2
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
    from collections.abc import AsyncIterator, Callable

ROOT = Path(__file__).parent.parent
SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
FREE_PORTS = ("--listen", "127.0.0.1:0", "--metrics-listen", "127.0.0.1:0")


def health_of(channel: grpc.aio.Channel) -> Any:
    return health_pb2_grpc.HealthStub(channel)


async def check(channel: grpc.aio.Channel, service: str = "") -> int:
    response = await health_of(channel).Check(health_pb2.HealthCheckRequest(service=service))
    return int(response.status)


@pytest.mark.parametrize("service", ["", SERVICE_NAME])
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
        gate.release(10)
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


@dataclass(frozen=True)
class ServerProcess:
    """A server in a process of its own."""

    process: asyncio.subprocess.Process
    channel: grpc.aio.Channel

    async def graph_call(self) -> str:
        """Lets the engine make one graph call; the call's name."""
        assert self.process.stdin is not None
        self.process.stdin.write(b"\n")
        return await line_of(self.process.stdout)


async def line_of(stream: asyncio.StreamReader | None) -> str:
    assert stream is not None
    return (await asyncio.wait_for(stream.readline(), PATIENCE_SECONDS)).decode().strip()


def start_process(*arguments: str, **environment: str) -> Any:
    return asyncio.create_subprocess_exec(
        sys.executable,
        *arguments,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path), **environment},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


@asynccontextmanager
async def gated_process(*flags: str) -> AsyncIterator[ServerProcess]:
    process = await start_process("-m", "tests.gated_server", "--engine", "fake", *FREE_PORTS, *flags)
    try:
        ready = (await line_of(process.stdout)).split(" ")
        assert ready[:2] == ["stillcue", "ready"]
        addresses = dict(word.split("=") for word in ready[2:])
        assert list(addresses) == ["grpc", "metrics"]
        async with grpc.aio.insecure_channel(addresses["grpc"]) as channel:
            yield ServerProcess(process, channel)
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def test_sigterm_drains_a_real_process() -> None:
    async with gated_process() as server:
        stub = stub_of(server.channel)
        watch = health_of(server.channel).Watch(health_pb2.HealthCheckRequest())
        assert (await anext(aiter(watch))).status == SERVING
        running = stub.Generate(generate_request())
        await anext(aiter(running))
        waiting = stub.Generate(generate_request())
        await anext(aiter(waiting))
        assert [await server.graph_call() for _ in range(4)][-1] == "denoise 1"
        server.process.send_signal(signal.SIGTERM)
        assert (await anext(aiter(watch))).status == NOT_SERVING
        assert reason(await failure_of(waiting)) == "SERVER_DRAINING"
        assert reason(await failure_of(stub.Generate(generate_request()))) == "SERVER_DRAINING"
        assert [await server.graph_call() for _ in range(6)][-1] == "decode 2"
        messages = await read_all(running)
        assert kinds(messages)[-1] == "summary"
        assert kinds(messages).count("frame") == 9
        assert await asyncio.wait_for(server.process.wait(), PATIENCE_SECONDS) == 0


async def test_a_second_signal_ends_the_grace() -> None:
    async with gated_process() as server:
        call = stub_of(server.channel).Generate(generate_request())
        await anext(aiter(call))
        server.process.send_signal(signal.SIGTERM)
        watch = health_of(server.channel).Watch(health_pb2.HealthCheckRequest())
        async for response in watch:
            if response.status == NOT_SERVING:
                break
        server.process.send_signal(signal.SIGINT)
        assert reason(await failure_of(call)) == "SERVER_DRAINING"
        # The engine stands in a graph call that never ends: the process ends all the same.
        assert await asyncio.wait_for(server.process.wait(), PATIENCE_SECONDS) == 3


async def test_the_command_serves_and_leaves_with_0() -> None:
    process = await start_process("-m", "server", "--engine", "fake", *FREE_PORTS)
    ready = await line_of(process.stdout)
    assert ready.startswith("stillcue ready grpc=127.0.0.1:")
    process.send_signal(signal.SIGTERM)
    _, log = await asyncio.wait_for(process.communicate(), PATIENCE_SECONDS)
    assert process.returncode == 0
    assert b"Traceback" not in log


async def refused_start(*flags: str, **environment: str) -> str:
    process = await start_process("-m", "server", *flags, **environment)
    output, log = await asyncio.wait_for(process.communicate(), PATIENCE_SECONDS)
    assert process.returncode == 2
    assert output == b""
    lines: list[str] = log.decode().splitlines()
    assert len(lines) == 1
    return lines[0]


async def test_a_missing_bundle_stops_the_start() -> None:
    assert await refused_start(*FREE_PORTS) == (
        "stillcue: --bundle is not set; give the folder that python -m export wrote, or --engine fake to try clients"
    )


async def test_plain_text_for_other_machines_stops_the_start() -> None:
    assert await refused_start("--engine", "fake", "--listen", "0.0.0.0:0") == (
        "stillcue: --listen 0.0.0.0:0 would serve plain text to other machines; give --tls-certificate-chain and "
        "--tls-private-key, or listen on 127.0.0.1 behind a proxy that adds TLS, or give --allow-insecure"
    )


async def test_a_taken_port_stops_the_start() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        line = await refused_start("--engine", "fake", "--metrics-listen", "127.0.0.1:0", "--listen", address)
        metrics_line = await refused_start("--engine", "fake", "--listen", "127.0.0.1:0", "--metrics-listen", address)
    remedy = f"{address} cannot be bound: address already in use; choose another address, or port 0 for any"
    assert line == f"stillcue: --listen {remedy}"
    assert metrics_line == f"stillcue: --metrics-listen {remedy}"


async def test_a_bad_environment_stops_the_start() -> None:
    assert await refused_start("--engine", "fake", STILLCUE_QUEUE_CAPACITY="many") == (
        "stillcue: STILLCUE_QUEUE_CAPACITY 'many' is not a whole number from 0 to 10000"
    )


async def test_a_bundle_that_is_not_there_stops_the_start(tmp_path: Path) -> None:
    pytest.importorskip("engine.generate.pipeline")
    assert "no-such-bundle" in await refused_start(*FREE_PORTS, "--bundle", str(tmp_path / "no-such-bundle"))
