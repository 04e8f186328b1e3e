"""Streams ended early by the caller, the deadline or a slow reader: the engine stops and the next job runs."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from threading import Event, Semaphore
from typing import Any

import grpc
import grpc.aio
import pytest
from google.protobuf.duration_pb2 import Duration

from engine.api.job import Job, PreparedJob
from engine.api.video import VideoSupport
from engine.testing.fake_engine import FakeEngine
from server.errors.refusals import DeadlinePassed
from server.observability.metrics import Metrics
from server.rpc.context import ServerContext
from server.rpc.servicer import StillcueServicer
from server.runtime.engine_thread import EngineThread
from server.runtime.readiness import ReadinessGate
from server.security.quotas import Quotas
from server.settings import Settings
from stillcue.v1 import generate_pb2
from tests.fake_job import GRAPH_CALL_COUNT, GRAPH_CALLS
from tests.large_job import LARGE, large_request, release_one_by_one
from tests.serving import Served, eventually, failure_of, generate_request, kinds, read_all, reason, served, stub_of

GENERATE_LABELS = "grpc_method=Generate,grpc_service=stillcue.v1.StillcueService,grpc_type=server_stream"
HANDLED = "grpc_server_handled_total{{grpc_code={code}," + GENERATE_LABELS + "}}"


async def expect_next_job_to_run(server: Served, engine: FakeEngine, gate: Semaphore, call_count: int) -> None:
    """The engine took no call after the first ``call_count``; the job after that runs to its end."""
    gate.release(1)  # the stopped job takes this permit, sees that it is to stop, and makes no call
    await server.reaches("stillcue_cancel_latency_seconds_count", 1)
    assert len(engine.graph_calls) == call_count
    gate.release(GRAPH_CALL_COUNT)
    assert kinds(await read_all(server.stub.Generate(generate_request())))[-1] == "summary"
    assert len(engine.graph_calls) == call_count + GRAPH_CALL_COUNT
    assert await server.sample("stillcue_jobs_total{outcome=completed}") == 1


@pytest.mark.parametrize("last_call", ["match", "encode_text", "denoise 2", "decode 0"])
async def test_a_cancel_stops_the_engine_before_its_next_call(
    last_call: str, promise: Callable[[str, str], None]
) -> None:
    call_count = GRAPH_CALLS.index(last_call) + 1
    gate = Semaphore(call_count)
    engine = FakeEngine(gate=gate)
    async with served(engine) as server:
        call = server.stub.Generate(generate_request())
        await anext(aiter(call))
        await eventually(lambda: len(engine.graph_calls) == call_count)
        call.cancel()
        await server.reaches("stillcue_jobs_total{outcome=cancelled}", 1)
        await server.reaches(HANDLED.format(code="CANCELLED"), 1)
        await expect_next_job_to_run(server, engine, gate, call_count)
    promise("cancel", f"after {last_call}: 0 further calls")


async def test_a_closed_connection_stops_the_engine() -> None:
    gate = Semaphore(5)
    engine = FakeEngine(gate=gate)
    async with served(engine) as server:
        channel = grpc.aio.insecure_channel(str(server.address))
        call = stub_of(channel).Generate(generate_request())
        await anext(aiter(call))
        await eventually(lambda: len(engine.graph_calls) == 5)
        await channel.close(None)
        await server.reaches("stillcue_jobs_total{outcome=cancelled}", 1)
        await expect_next_job_to_run(server, engine, gate, 5)


async def test_a_deadline_stops_the_engine() -> None:
    gate = Semaphore(5)
    engine = FakeEngine(gate=gate)
    async with served(engine) as server:
        error = await failure_of(server.stub.Generate(generate_request(), timeout=0.3))
        assert error.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        await server.reaches("stillcue_jobs_total{outcome=deadline_exceeded}", 1)
        await server.reaches(HANDLED.format(code="DEADLINE_EXCEEDED"), 1)
        await expect_next_job_to_run(server, engine, gate, 5)


class ContextWithoutTime:
    """The context of a call whose deadline is over. gRPC ends most of these itself, so no client can bring it about."""

    def time_remaining(self) -> float:
        return 0.0


async def test_a_deadline_that_is_over_is_refused_before_any_work() -> None:
    engine, engine_thread, metrics, settings = FakeEngine(), EngineThread(), Metrics(), Settings(engine="fake")
    gate: ReadinessGate[ServerContext] = ReadinessGate()
    gate.open(ServerContext.build(engine, engine_thread, settings, metrics, Quotas(), video_support=VideoSupport({})))
    context: Any = ContextWithoutTime()
    with pytest.raises(DeadlinePassed):
        await anext(aiter(StillcueServicer(gate, metrics, settings).Generate(generate_request(), context)))
    assert engine_thread.close(20)
    assert engine.graph_calls == []


class SlowPreparation(FakeEngine):
    """Prepares a job when it is allowed to."""

    def __init__(self) -> None:
        super().__init__()
        self.may_prepare = Event()

    def prepare(self, job: Job) -> PreparedJob:
        self.may_prepare.wait()
        return super().prepare(job)


async def test_a_job_whose_caller_left_while_it_was_prepared_gets_no_place() -> None:
    engine = SlowPreparation()
    async with served(engine) as server:
        error = await failure_of(server.stub.Generate(generate_request(), timeout=0.2))
        assert error.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        await server.reaches("stillcue_jobs_rejected_total{reason=deadline_exceeded}", 1)
        engine.may_prepare.set()
        assert kinds(await read_all(server.stub.Generate(generate_request())))[-1] == "summary"
        assert await server.sample("stillcue_job_queue_seconds_count") == 1
    assert len(engine.graph_calls) == GRAPH_CALL_COUNT


@pytest.mark.parametrize("stall_by", ["request", "server"])
async def test_a_stalled_reader_loses_its_stream_and_nobody_else_does(
    stall_by: str, promise: Callable[[str, str], None]
) -> None:
    gate = Semaphore(7 + 10)  # 37 frames, more than the connection takes up
    engine = FakeEngine(gate=gate, capabilities=LARGE)
    stall = Duration(nanos=200_000_000)
    request = large_request(max_stall_duration=stall) if stall_by == "request" else large_request()
    async with (
        served(engine, **({"max_stall_seconds": 0.2} if stall_by == "server" else {})) as server,
        grpc.aio.insecure_channel(str(server.address)) as channel,
    ):
        call = stub_of(channel).Generate(request)
        await anext(aiter(call))
        await server.reaches("stillcue_jobs_total{outcome=reader_stalled}", 1)
        await server.reaches(HANDLED.format(code="ABORTED"), 1)
        await release_one_by_one(server, engine, gate)
        call_count = len(engine.graph_calls)
        gate.release(GRAPH_CALL_COUNT)
        assert kinds(await read_all(server.stub.Generate(generate_request())))[-1] == "summary"
        assert len(engine.graph_calls) == call_count + GRAPH_CALL_COUNT
        error = await failure_of(call)
    assert error.code() is grpc.StatusCode.ABORTED
    assert reason(error) == "READER_STALLED"
    assert error.details() == "a message waited 0.2 s for the reader; read messages as they arrive"
    promise("stalled", f"ended at the {stall_by}'s limit of 0.2 s, before the clip was; the next job is complete")


async def test_a_stream_without_any_patience_ends_all_the_same() -> None:
    stream = generate_pb2.StreamSpec(max_stall_duration=Duration(nanos=1))
    ends = set()
    async with served(FakeEngine()) as server:
        for _ in range(20):
            call = server.stub.Generate(generate_request(request_id=str(uuid.uuid4()), stream=stream))
            try:
                ends.add(kinds(await read_all(call))[-1])
            except grpc.aio.AioRpcError as error:
                ends.add(reason(error))
    assert "READER_STALLED" in ends
    assert ends <= {"READER_STALLED", "summary"}


async def test_a_request_cannot_ask_for_more_patience_than_the_server_has() -> None:
    gate = Semaphore(7 + 10)
    engine = FakeEngine(gate=gate, capabilities=LARGE)
    async with (
        served(engine, max_stall_seconds=0.2) as server,
        grpc.aio.insecure_channel(str(server.address)) as channel,
    ):
        call = stub_of(channel).Generate(large_request(max_stall_duration=Duration(seconds=3600)))
        await anext(aiter(call))
        await server.reaches("stillcue_jobs_total{outcome=reader_stalled}", 1)
        gate.release(1)
        assert reason(await failure_of(call)) == "READER_STALLED"


async def test_a_reader_that_is_too_slow_loses_its_stream_at_the_byte_limit(
    promise: Callable[[str, str], None],
) -> None:
    gate = Semaphore(7)
    engine = FakeEngine(gate=gate, capabilities=LARGE)
    async with (
        served(engine, max_buffered_bytes=16 * 2**20) as server,
        grpc.aio.insecure_channel(str(server.address)) as channel,
    ):
        call = stub_of(channel).Generate(large_request())
        await anext(aiter(call))
        await release_one_by_one(server, engine, gate)
        gate.release(GRAPH_CALL_COUNT)
        assert kinds(await read_all(server.stub.Generate(generate_request())))[-1] == "summary"
        error = await failure_of(call)
        assert error.code() is grpc.StatusCode.ABORTED
        assert reason(error) == "BUFFER_FULL"
        assert str(error.details()).startswith("more than 16777216 bytes waited for the reader")
        await server.reaches("stillcue_jobs_total{outcome=buffer_full}", 1)
    promise("stalled", "ended at 16 MiB of frames held for the reader")
