"""Start, drain and stop of a server in a process of its own; starts that are refused."""

from __future__ import annotations

import asyncio
import signal
import socket
from pathlib import Path

from grpc_health.v1 import health_pb2

from tests.server_processes import FREE_PORTS, gated_process, line_of, start_process
from tests.serving import PATIENCE_SECONDS, failure_of, generate_request, kinds, read_all, reason, stub_of
from tests.test_server_lifecycle import NOT_SERVING, SERVING, health_of


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
    assert "no-such-bundle" in await refused_start(*FREE_PORTS, "--bundle", str(tmp_path / "no-such-bundle"))
