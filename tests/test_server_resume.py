"""Streams that break and are resumed: the same bytes, one run of the engine."""

from __future__ import annotations

from threading import Semaphore
from typing import TYPE_CHECKING

import grpc
import grpc.aio
import pytest

from engine.testing.fake_engine import FakeEngine
from stillcue.v1 import generate_pb2
from tests.fake_job import EVENT_COUNT, GRAPH_CALL_COUNT
from tests.resuming import OTHER_ID, going_on, raw, read_and_break, read_bytes, resumable, take
from tests.serving import REQUEST_ID, eventually, failure_of, generate_request, kinds, read_all, reason, served

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.mark.parametrize(("call_count", "event_count"), [(0, 1), (4, 7), (8, 12), (10, 21)])
async def test_a_broken_stream_goes_on_with_the_same_bytes(
    call_count: int, event_count: int, promise: Callable[[str, str], None]
) -> None:
    gate = Semaphore(call_count)
    engine = FakeEngine(gate=gate)
    async with served(engine) as server:
        first = await read_and_break(server, resumable(), event_count)
        gate.release(GRAPH_CALL_COUNT)
        rest = await read_bytes(raw(server.channel, going_on(first[-1])))
        whole = await read_bytes(raw(server.channel, resumable()))
        again = await read_bytes(raw(server.channel, going_on(whole[5])))
        assert first + rest == whole
        assert again == whole[6:]
        assert await server.sample("stillcue_streams_resumed_total") == 3
        assert await server.sample("stillcue_jobs_total{outcome=completed}") == 1
        assert await server.sample("stillcue_job_queue_seconds_count") == 1
    assert len(engine.graph_calls) == GRAPH_CALL_COUNT
    events = [generate_pb2.GenerateResponse.FromString(event) for event in whole]
    assert kinds(events)[-1] == "summary"
    assert [event.sequence_number for event in events] == list(range(EVENT_COUNT))
    assert len({event.resume_token for event in events}) == EVENT_COUNT
    elapsed = [event.elapsed.ToNanoseconds() for event in events]
    assert elapsed == sorted(elapsed)
    promise("resume", f"broken after {event_count} of {EVENT_COUNT} events: the same bytes, 1 run")


async def test_a_job_without_a_window_leaves_another_job_of_its_id_in_the_registry() -> None:
    async with served(FakeEngine()) as server:
        kept = await read_bytes(raw(server.channel, resumable()))
        await read_all(server.stub.Generate(generate_request()))
        assert await read_bytes(raw(server.channel, going_on(kept[5]))) == kept[6:]


async def test_a_job_goes_on_while_nobody_reads() -> None:
    gate = Semaphore(3)
    engine = FakeEngine(gate=gate)
    async with served(engine) as server:
        first = await read_and_break(server, resumable(), 2)
        gate.release(7)
        await server.reaches("stillcue_running_jobs", 0)
        assert await server.sample("stillcue_replay_bytes") > 9 * 32 * 32 * 3
        assert len(first + await read_bytes(raw(server.channel, going_on(first[-1])))) == EVENT_COUNT
    assert len(engine.graph_calls) == GRAPH_CALL_COUNT


async def test_the_same_request_twice_is_one_run(promise: Callable[[str, str], None]) -> None:
    gate = Semaphore(4)
    engine = FakeEngine(gate=gate)
    async with served(engine) as server:
        calls = [raw(server.channel, resumable()) for _ in range(3)]  # at the same time
        firsts = [await take(call, 5) for call in calls]
        gate.release(6)
        wholes = [first + await read_bytes(call) for first, call in zip(firsts, calls, strict=True)]
        assert wholes[0] == wholes[1] == wholes[2]
        assert len(wholes[0]) == EVENT_COUNT
        assert await server.sample("stillcue_jobs_total{outcome=completed}") == 1
    assert len(engine.graph_calls) == GRAPH_CALL_COUNT
    promise("resume", "3 times the same request at once: 1 run, 3 identical streams")


async def test_without_a_window_the_same_request_twice_is_two_runs() -> None:
    engine = FakeEngine()
    async with served(engine) as server:
        messages = await read_all(server.stub.Generate(generate_request()))
        await read_all(server.stub.Generate(generate_request()))
    assert not any(message.resume_token for message in messages)
    assert not messages[0].accepted.HasField("resume_window")
    assert len(engine.graph_calls) == 2 * GRAPH_CALL_COUNT


async def test_another_request_under_the_same_id_is_refused() -> None:
    engine = FakeEngine()
    async with served(engine) as server:
        await read_all(server.stub.Generate(resumable()))
        error = await failure_of(server.stub.Generate(resumable(prompt="a blue fox")))
        assert error.code() is grpc.StatusCode.ALREADY_EXISTS
        assert reason(error) == "REQUEST_ID_REUSED"
        assert await server.sample("stillcue_jobs_rejected_total{reason=request_id_reused}") == 1
    assert len(engine.graph_calls) == GRAPH_CALL_COUNT


@pytest.mark.parametrize("where", ["running", "queued", "detached"])
async def test_a_job_with_a_window_is_cancelled_by_its_own_method(where: str) -> None:
    gate = Semaphore(4)
    engine = FakeEngine(gate=gate)
    cancel = generate_pb2.CancelGenerateRequest(request_id=REQUEST_ID)
    async with served(engine) as server:
        call_count, call = 4, None
        if where == "queued":
            ahead = server.stub.Generate(generate_request(request_id=OTHER_ID))
            await anext(aiter(ahead))
        if where == "detached":
            await read_and_break(server, resumable(), 2)
        else:
            call = server.stub.Generate(resumable())
            await anext(aiter(call))
        await eventually(lambda: len(engine.graph_calls) == call_count)
        await server.stub.CancelGenerate(cancel)
        if call is not None:
            error = await failure_of(call)
            assert error.code() is grpc.StatusCode.CANCELLED
            assert reason(error) == "CANCELLED"
        await server.reaches("stillcue_jobs_total{outcome=cancelled}", 1)
        gate.release(1 if where != "queued" else GRAPH_CALL_COUNT - 4)
        await server.reaches("stillcue_running_jobs", 0)
        assert await server.sample("stillcue_cancel_latency_seconds_count") == (where != "queued")
        assert len(engine.graph_calls) == (4 if where != "queued" else GRAPH_CALL_COUNT)
        assert await server.sample("stillcue_detached_jobs") == 0
        missing = await failure_of(server.stub.CancelGenerate(cancel))
        assert missing.code() is grpc.StatusCode.NOT_FOUND
        assert reason(missing) == "JOB_NOT_FOUND"
