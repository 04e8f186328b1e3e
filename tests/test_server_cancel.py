"""Rare cancels: in the queue, at the very end, and by callers that vanish without closing the connection."""

from __future__ import annotations

import dataclasses
import sys
import time
from subprocess import PIPE, Popen
from threading import Semaphore
from typing import TYPE_CHECKING, Any

import grpc
import grpc.aio
import pytest

from engine.api.capabilities import Geometry
from engine.testing.fake_engine import FAKE_CAPABILITIES, FakeEngine
from stillcue.v1 import generate_pb2, media_pb2
from tests.fake_job import GRAPH_CALL_COUNT
from tests.relay import Relay
from tests.resuming import going_on, raw, read_bytes, resumable, take
from tests.serving import REQUEST_ID, Served, eventually, generate_request, kinds, png, read_all, served, stub_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

OTHER_ID = "00000000-0000-4000-8000-000000000000"
IDLE = "stillcue_cancel_latency_seconds_count"
# The shortest that the settings allow, so that a vanished peer is noticed within seconds.
KEEPALIVE: dict[str, Any] = {"keepalive_seconds": 1.0, "ping_timeout_seconds": 0.5}


async def begin(server: Served, stub: Any, **fields: Any) -> Any:
    call = stub.Generate(generate_request(**fields))
    await anext(aiter(call))
    return call


async def expect_rest(server: Served, engine: FakeEngine, gate: Semaphore, call_count: int) -> None:
    """The engine made no call after those; the next job runs to its end."""
    gate.release(1)
    await server.reaches(IDLE, 1)
    assert len(engine.graph_calls) == call_count
    gate.release(GRAPH_CALL_COUNT)
    assert kinds(await read_all(server.stub.Generate(generate_request())))[-1] == "summary"
    assert len(engine.graph_calls) == call_count + GRAPH_CALL_COUNT


@pytest.mark.parametrize("by", ["caller", "deadline", "connection"])
async def test_a_job_that_waits_leaves_the_queue_and_costs_nothing(
    by: str, promise: Callable[[str, str], None]
) -> None:
    gate = Semaphore(0)
    engine = FakeEngine(gate=gate)
    async with served(engine) as server, grpc.aio.insecure_channel(str(server.address)) as channel:
        running = await begin(server, server.stub)
        timeout = 0.3 if by == "deadline" else None
        waiting = stub_of(channel).Generate(generate_request(request_id=OTHER_ID), timeout=timeout)
        await anext(aiter(waiting))
        assert await server.sample("stillcue_queue_jobs") == 1
        if by == "caller":
            waiting.cancel()
        if by == "connection":
            await channel.close(None)
        outcome = "deadline_exceeded" if by == "deadline" else "cancelled"
        await server.reaches(f"stillcue_jobs_total{{outcome={outcome}}}", 1)
        assert await server.sample("stillcue_queue_jobs") == 0
        gate.release(GRAPH_CALL_COUNT)
        assert kinds(await read_all(running))[-1] == "summary"
        assert await server.sample(IDLE) == 0  # the engine never had it
    assert len(engine.graph_calls) == GRAPH_CALL_COUNT
    promise("cancel", f"in the queue, by the {by}: 0 calls")


async def test_a_cancel_at_the_very_end_finds_an_idle_engine(promise: Callable[[str, str], None]) -> None:
    geometry = Geometry(1280, 704, 17)  # 46 MB: more than a connection takes up
    engine = FakeEngine(capabilities=dataclasses.replace(FAKE_CAPABILITIES, geometries=(geometry, Geometry(32, 32, 9))))
    request = generate_request(
        video=generate_pb2.VideoSpec(width_px=1280, height_px=704, frame_count=17),
        stream=generate_pb2.StreamSpec(frame_encoding=media_pb2.FRAME_ENCODING_RAW_RGB),
    )
    async with served(engine) as server:
        call = server.stub.Generate(request)
        await anext(aiter(call))
        await server.reaches("stillcue_time_to_first_frame_seconds_count", 1)
        await server.reaches("stillcue_running_jobs", 0)
        call.cancel()
        await server.reaches("stillcue_jobs_total{outcome=cancelled}", 1)
        assert await server.sample(IDLE) == 0  # it was idle when the cancel came
        assert kinds(await read_all(server.stub.Generate(generate_request())))[-1] == "summary"
    promise("cancel", "at the very end: the engine is idle already")


async def test_the_time_to_an_idle_engine_is_measured_from_the_cancel_to_the_end_of_the_call() -> None:
    gate = Semaphore(4)
    engine = FakeEngine(gate=gate)
    async with served(engine) as server:
        call = await begin(server, server.stub)
        await eventually(lambda: len(engine.graph_calls) == 4)
        before_cancel = time.perf_counter()
        call.cancel()
        await server.reaches("stillcue_jobs_total{outcome=cancelled}", 1)
        after_cancel = time.perf_counter()
        assert await server.sample(IDLE) == 0
        before_end = time.perf_counter()
        gate.release(1)
        await server.reaches(IDLE, 1)
        after_end = time.perf_counter()
        measured = await server.sample("stillcue_cancel_latency_seconds_sum")
    assert before_end - after_cancel <= measured <= after_end - before_cancel


@pytest.mark.parametrize("where", ["engine", "queue"])
async def test_a_peer_that_vanishes_without_a_word_is_noticed(where: str, promise: Callable[[str, str], None]) -> None:
    """No packet comes any more, and none says so. Without both keepalive options gRPC notices this after minutes."""
    gate = Semaphore(5)
    engine = FakeEngine(gate=gate)
    async with served(engine, **KEEPALIVE) as server:
        with Relay(server.port) as relay:
            async with grpc.aio.insecure_channel(relay.target) as channel:
                ahead = await begin(server, server.stub) if where == "queue" else None
                await begin(server, stub_of(channel), request_id=OTHER_ID)
                await eventually(lambda: len(engine.graph_calls) == 5)
                relay.stop_forwarding()
                gone_at = time.perf_counter()
                await server.reaches("stillcue_jobs_total{outcome=cancelled}", 1)
                seconds = time.perf_counter() - gone_at
        if ahead is None:
            await expect_rest(server, engine, gate, 5)
        else:
            assert await server.sample("stillcue_queue_jobs") == 0
            gate.release(GRAPH_CALL_COUNT - 5)
            assert kinds(await read_all(ahead))[-1] == "summary"
            assert len(engine.graph_calls) == GRAPH_CALL_COUNT
    promise(
        "vanished", f"cut off in the {where}: known after {seconds:.1f} s, with keepalive 1 s and ping timeout 0.5 s"
    )


async def test_who_comes_back_before_the_server_noticed_gets_the_same_stream() -> None:
    gate = Semaphore(4)
    engine = FakeEngine(gate=gate)
    async with served(engine, **KEEPALIVE) as server:
        with Relay(server.port) as relay:
            async with grpc.aio.insecure_channel(relay.target) as channel:
                first = await take(raw(channel, resumable()), 6)
                relay.stop_forwarding()
                again = raw(server.channel, going_on(first[-1]))
                events = await take(again, 1)
                # The connection that vanished ends, and the job goes on for the other reader.
                handled = "grpc_server_handled_total{grpc_code=CANCELLED,grpc_method=Generate,"
                await server.reaches(handled + "grpc_service=stillcue.v1.StillcueService,grpc_type=server_stream}", 1)
                gate.release(GRAPH_CALL_COUNT - 4)
                events += await read_bytes(again)
        assert first + events == await read_bytes(raw(server.channel, resumable()))
        assert await server.sample("stillcue_jobs_total{outcome=completed}") == 1
        assert await server.sample("stillcue_jobs_total{outcome=cancelled}") == 0
    assert len(engine.graph_calls) == GRAPH_CALL_COUNT


CLIENT = """
import sys, time, stillcue
from pathlib import Path
client = stillcue.Client(sys.argv[1])
stream = client.generate(Path(sys.argv[2]).read_bytes(), "a red fox", resume_window_seconds=float(sys.argv[3]))
next(stream)
print("accepted", flush=True)
time.sleep(600)
"""


@pytest.fixture
def picture(tmp_path: Path) -> str:
    path = tmp_path / "picture.png"
    path.write_bytes(png())
    return str(path)


@pytest.mark.parametrize(("window_seconds", "outcome"), [("0", "cancelled"), ("0.2", "reader_gone")])
async def test_a_killed_client_stops_the_engine(
    picture: str, window_seconds: str, outcome: str, promise: Callable[[str, str], None]
) -> None:
    gate = Semaphore(5)
    engine = FakeEngine(gate=gate)
    async with served(engine) as server:
        command = [sys.executable, "-c", CLIENT, str(server.address), picture, window_seconds]
        with Popen(command, env={"PYTHONPATH": ":".join(sys.path)}, stdout=PIPE) as client:
            await eventually(lambda: len(engine.graph_calls) == 5)
            client.kill()
            killed_at = time.perf_counter()
        await server.reaches(f"stillcue_jobs_total{{outcome={outcome}}}", 1)
        seconds = time.perf_counter() - killed_at
        await expect_rest(server, engine, gate, 5)
    window = f" with {window_seconds} s to come back" if float(window_seconds) else ""
    promise("vanished", f"killed{window}: known after {1000 * seconds:.0f} ms, the look included")


async def test_a_cancel_by_id_is_for_jobs_with_a_window_only() -> None:
    gate = Semaphore(0)
    async with served(FakeEngine(gate=gate)) as server:
        running = await begin(server, server.stub)
        with pytest.raises(grpc.aio.AioRpcError, match="holds no job of this request_id"):
            await server.stub.CancelGenerate(generate_pb2.CancelGenerateRequest(request_id=REQUEST_ID))
        gate.release(GRAPH_CALL_COUNT)
        assert kinds(await read_all(running))[-1] == "summary"
