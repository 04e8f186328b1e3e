"""The queue: which job runs next, which waits, which is refused."""

from __future__ import annotations

from collections.abc import Callable
from threading import Semaphore
from typing import Any

import grpc
import grpc.aio
from google.rpc import error_details_pb2

from engine.testing.fake_engine import FakeEngine
from stillcue.v1 import generate_pb2
from tests.fake_job import GRAPH_CALL_COUNT
from tests.serving import Served, detail, eventually, failure_of, generate_request, kinds, read_all, reason, served


async def accepted_call(server: Served, seed: int) -> Any:
    """A call that has its place."""
    call = server.stub.Generate(generate_request(sampling=generate_pb2.SamplingSpec(seed=seed)))
    message = await anext(aiter(call))
    assert message.accepted.settings.seed == seed
    return call


async def next_position(call: Any) -> int:
    message: generate_pb2.GenerateResponse = await anext(aiter(call))
    assert message.HasField("queue_update")
    return message.queue_update.position


async def test_positions_move_up_and_jobs_run_in_order() -> None:
    gate = Semaphore(0)
    engine = FakeEngine(gate=gate)
    async with served(engine) as server:
        calls = [await accepted_call(server, seed) for seed in range(3)]
        assert [await next_position(call) for call in calls[1:]] == [1, 2]
        gate.release(GRAPH_CALL_COUNT)
        assert kinds(await read_all(calls[0]))[-1] == "summary"
        assert [await next_position(call) for call in calls[1:]] == [0, 1]
        gate.release(GRAPH_CALL_COUNT)
        second = await read_all(calls[1])
        assert second[-1].summary.queue_duration.ToNanoseconds() > 0
        assert await next_position(calls[2]) == 0
        gate.release(GRAPH_CALL_COUNT)
        third = await read_all(calls[2])
    assert [message.sequence_number for message in third] == list(range(4, 24))
    assert [message.summary.settings.seed for message in (second[-1], third[-1])] == [1, 2]


async def test_a_full_queue_refuses_with_a_time_to_come_back() -> None:
    gate = Semaphore(0)
    engine = FakeEngine(gate=gate)
    async with served(engine, queue_capacity=2) as server:
        calls = [await accepted_call(server, seed) for seed in range(3)]
        refusals = [await failure_of(server.stub.Generate(generate_request())) for _ in range(7)]
        assert {error.code() for error in refusals} == {grpc.StatusCode.RESOURCE_EXHAUSTED}
        assert {reason(error) for error in refusals} == {"QUEUE_FULL"}
        assert refusals[0].details() == "the queue is full (2 jobs may wait); try again later or on another server"
        retry = detail(refusals[0], error_details_pb2.RetryInfo)
        assert retry is not None
        assert retry.retry_delay.ToSeconds() == 5
        assert await server.sample("stillcue_queue_jobs") == 2
        assert await server.sample("stillcue_queue_capacity_jobs") == 2
        assert await server.sample("stillcue_jobs_rejected_total{reason=queue_full}") == 7
        assert engine.graph_calls == []
        gate.release(3 * GRAPH_CALL_COUNT)
        for call in calls:
            assert kinds(await read_all(call))[-1] == "summary"
    assert len(engine.graph_calls) == 3 * GRAPH_CALL_COUNT


async def test_without_a_queue_one_job_runs_and_the_next_is_refused() -> None:
    gate = Semaphore(0)
    async with served(FakeEngine(gate=gate), queue_capacity=0) as server:
        call = await accepted_call(server, 1)
        assert reason(await failure_of(server.stub.Generate(generate_request()))) == "QUEUE_FULL"
        gate.release(2 * GRAPH_CALL_COUNT)
        assert kinds(await read_all(call))[-1] == "summary"
        assert kinds(await read_all(server.stub.Generate(generate_request())))[-1] == "summary"


async def test_a_job_that_is_cancelled_while_it_waits_leaves_at_once(promise: Callable[[str, str], None]) -> None:
    gate = Semaphore(0)
    engine = FakeEngine(gate=gate)
    async with served(engine) as server:
        calls = [await accepted_call(server, seed) for seed in range(3)]
        assert [await next_position(call) for call in calls[1:]] == [1, 2]
        calls[1].cancel()
        assert await next_position(calls[2]) == 1  # while the first one still stands at its first graph call
        assert engine.graph_calls == []
        gate.release(2 * GRAPH_CALL_COUNT)
        assert kinds(await read_all(calls[0]))[-1] == "summary"
        assert await next_position(calls[2]) == 0
        assert kinds(await read_all(calls[2]))[-1] == "summary"
        await server.reaches("stillcue_jobs_total{outcome=cancelled}", 1)
        assert await server.sample("stillcue_cancel_latency_seconds_count") == 0
    assert len(engine.graph_calls) == 2 * GRAPH_CALL_COUNT
    promise("cancel", "while it waits: 0 calls, the next in line moves up at once")


async def test_a_bad_job_is_refused_for_load_before_its_picture_is_looked_at() -> None:
    gate = Semaphore(0)
    async with served(FakeEngine(gate=gate), queue_capacity=0) as server:
        call = await accepted_call(server, 1)
        error = await failure_of(server.stub.Generate(generate_request(request_id="job-1")))
        assert reason(error) == "QUEUE_FULL"
        gate.release(GRAPH_CALL_COUNT)
        await read_all(call)


async def test_the_next_job_starts_although_its_reader_does_not_read() -> None:
    gate = Semaphore(0)
    engine = FakeEngine(gate=gate)
    async with served(engine) as server:
        first, second = await accepted_call(server, 1), await accepted_call(server, 2)
        gate.release(2 * GRAPH_CALL_COUNT)
        await eventually(lambda: len(engine.graph_calls) == 2 * GRAPH_CALL_COUNT)
        for call in (first, second):
            assert kinds(await read_all(call))[-1] == "summary"
