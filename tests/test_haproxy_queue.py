"""A real HAProxy before real servers: one running job a server, a shared queue, refusals with details, drain."""

from __future__ import annotations

import asyncio
import signal
import uuid
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from google.rpc import error_details_pb2

from tests.fleets import DOWN, DRAINS, UP, gated_servers, proxy
from tests.serving import PATIENCE_SECONDS, detail, failure_of, generate_request, kinds, read_all, reason

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from stillcue.v1 import generate_pb2
    from tests.server_processes import ServerProcess

pytestmark = pytest.mark.walk

# Graph calls of one job of the fake engine: match, text, picture, 4 steps, 3 of the decode.
CALL_COUNT = 10


def new_request() -> generate_pb2.GenerateRequest:
    return generate_request(request_id=str(uuid.uuid4()))


async def begin(call: Any) -> AsyncIterator[generate_pb2.GenerateResponse]:
    """Reads the first event of a job."""
    events: AsyncIterator[generate_pb2.GenerateResponse] = aiter(call)
    first = await asyncio.wait_for(anext(events), PATIENCE_SECONDS)
    assert kinds([first]) == ["accepted"]
    return events


async def finish(server: ServerProcess) -> None:
    for _ in range(CALL_COUNT):
        await server.graph_call()


async def rest_of(events: AsyncIterator[generate_pb2.GenerateResponse]) -> list[str]:
    async with asyncio.timeout(PATIENCE_SECONDS):
        return kinds([event async for event in events])


def refused(error: grpc.aio.AioRpcError) -> bool:
    """Whether HAProxy refused a call, with everything that a client needs to come again."""
    retry = detail(error, error_details_pb2.RetryInfo)
    assert retry is not None
    assert retry.retry_delay.ToSeconds() == 5
    assert error.code() is grpc.StatusCode.UNAVAILABLE
    assert "no server is free" in (error.details() or "")
    return reason(error) == "NO_REPLICA_FREE"


async def test_a_job_a_server_and_a_queue_that_all_share(tmp_path: Path) -> None:
    async with gated_servers(3) as servers:
        addresses = {name: address for name, (_, address) in servers.items()}
        async with proxy(tmp_path, addresses, "--queue-jobs=2") as haproxy:
            # One connection of one caller: its jobs go to three servers all the same.
            running = [await begin(haproxy.stub.Generate(new_request())) for _ in servers]
            for name in servers:
                await haproxy.reaches(1, "server_current_sessions", "generate", name)
            waiting = [asyncio.create_task(begin(haproxy.stub.Generate(new_request()))) for _ in range(2)]
            await haproxy.reaches(2, "backend_current_queue", "generate")
            assert refused(await failure_of(haproxy.stub.Generate(new_request())))
            # A caller that gives up leaves the queue, and the next one has its place.
            waiting.pop().cancel()
            await haproxy.reaches(1, "backend_current_queue", "generate")
            waiting.append(asyncio.create_task(begin(haproxy.stub.Generate(new_request()))))
            await haproxy.reaches(2, "backend_current_queue", "generate")
            # The first server that is free takes the job that came first.
            await finish(servers["b"][0])
            first = await waiting[0]
            assert not waiting[1].done()
            await haproxy.reaches(1, "backend_current_queue", "generate")
            await finish(servers["b"][0])
            assert (await rest_of(first))[-1] == "summary"
            second = await waiting[1]
            for name in servers:
                await finish(servers[name][0])
            ends = await asyncio.gather(*map(rest_of, (*running, second)))
            assert {events[-1] for events in ends} == {"summary"}
            assert {events.count("frame") for events in ends} == {9}


async def test_a_wait_that_is_too_long_and_a_fleet_without_servers_are_refused(tmp_path: Path) -> None:
    async with gated_servers(1) as servers:
        addresses = {name: address for name, (_, address) in servers.items()}
        async with proxy(tmp_path, addresses, "--queue-seconds=1") as haproxy:
            running = await begin(haproxy.stub.Generate(new_request()))
            assert refused(await failure_of(haproxy.stub.Generate(new_request())))
            servers["a"][0].process.kill()
            with pytest.raises(grpc.aio.AioRpcError) as broken:
                await rest_of(running)
            assert broken.value.code() in {
                grpc.StatusCode.UNAVAILABLE,
                grpc.StatusCode.UNKNOWN,
                grpc.StatusCode.INTERNAL,
            }
            await haproxy.sees("a", DOWN)
            assert refused(await failure_of(haproxy.stub.Generate(new_request())))


async def test_a_server_that_drains_ends_its_job_and_gets_no_other(tmp_path: Path) -> None:
    async with gated_servers(2) as servers:
        addresses = {name: address for name, (_, address) in servers.items()}
        async with proxy(tmp_path, addresses) as haproxy:
            first = await begin(haproxy.stub.Generate(new_request()))
            busy = "a" if (await haproxy.samples())["haproxy_server_current_sessions", "generate", "a", ""] else "b"
            free = "b" if busy == "a" else "a"
            servers[busy][0].process.send_signal(signal.SIGTERM)
            await haproxy.sees(busy, DRAINS)
            await haproxy.sees(free, UP)
            for _ in range(2):
                other = asyncio.create_task(read_all(haproxy.stub.Generate(new_request())))
                await finish(servers[free][0])
                assert kinds(await other)[-1] == "summary"
            await finish(servers[busy][0])
            assert (await rest_of(first))[-1] == "summary"
            assert await servers[busy][0].process.wait() == 0
            await haproxy.sees(busy, DOWN)
