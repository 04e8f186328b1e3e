"""Resumable jobs are bounded: how long they wait for a reader, and how many bytes are kept."""

from __future__ import annotations

import asyncio
from threading import Semaphore

import grpc
import grpc.aio
from google.protobuf.duration_pb2 import Duration

from engine.testing.fake_engine import FakeEngine
from stillcue.v1 import generate_pb2, media_pb2
from tests.large_job import LARGE, release_one_by_one
from tests.resuming import going_on, raw, read_and_break, read_bytes, resumable, take
from tests.serving import REQUEST_ID, Served, eventually, failure_of, read_all, reason, served, stub_of


async def test_the_server_bounds_the_window() -> None:
    async with served(FakeEngine(), max_resume_seconds=5.0) as server:
        messages = await read_all(server.stub.Generate(resumable(3600)))
        assert messages[0].accepted.resume_window == Duration(seconds=5)
    async with served(FakeEngine(), max_resume_seconds=0.0) as server:
        messages = await read_all(server.stub.Generate(resumable(3600)))
        assert not messages[0].accepted.HasField("resume_window")
        assert {message.resume_token for message in messages} == {""}


async def test_a_job_whose_reader_does_not_come_back_is_stopped() -> None:
    gate = Semaphore(3)
    engine = FakeEngine(gate=gate)
    async with served(engine) as server:
        async with grpc.aio.insecure_channel(str(server.address)) as channel:
            first = await take(raw(channel, resumable(0.05)), 2)
            await eventually(lambda: len(engine.graph_calls) == 3)
        await server.reaches("stillcue_jobs_total{outcome=reader_gone}", 1)
        gate.release(1)  # the stopped job takes this permit, sees that it is to stop, and makes no call
        await server.reaches("stillcue_cancel_latency_seconds_count", 1)
        assert await server.sample("stillcue_detached_jobs") == 0
        error = await failure_of(server.stub.Generate(going_on(first[-1])))
    assert error.code() is grpc.StatusCode.NOT_FOUND
    assert reason(error) == "JOB_NOT_FOUND"
    assert len(engine.graph_calls) == 3


async def test_a_clip_is_kept_for_its_window_only() -> None:
    async with served(FakeEngine()) as server:
        events = await read_bytes(raw(server.channel, resumable(0.05)))
        await server.reaches("stillcue_detached_jobs", 0)
        await server.reaches("stillcue_replay_bytes", 0)
        assert reason(await failure_of(server.stub.Generate(going_on(events[3])))) == "JOB_NOT_FOUND"
        assert await server.sample("stillcue_jobs_total{outcome=completed}") == 1
        assert await server.sample("stillcue_jobs_total{outcome=reader_gone}") == 0


def large() -> generate_pb2.GenerateRequest:
    """81 raw frames of 2.6 MiB."""
    return resumable(
        video=generate_pb2.VideoSpec(width_px=1280, height_px=704, frame_count=81),
        stream=generate_pb2.StreamSpec(frame_encoding=media_pb2.FRAME_ENCODING_RAW_RGB),
    )


async def test_events_that_were_dropped_are_not_taken_up_again() -> None:
    gate = Semaphore(8)
    engine = FakeEngine(gate=gate, capabilities=LARGE)
    async with served(engine, max_buffered_bytes=16 * 2**20) as server:
        call = raw(server.channel, large())
        events = await take(call, 12)  # up to the first frame
        for _ in range(20):  # a reader that keeps up: four frames, 10.3 MiB, whenever the last four were read
            gate.release(1)
            events += await take(call, 4)
        events += await read_bytes(call)
        error = await failure_of(server.stub.Generate(going_on(events[0])))
        assert error.code() is grpc.StatusCode.OUT_OF_RANGE
        assert reason(error) == "EVENTS_DROPPED"
        assert await read_bytes(raw(server.channel, going_on(events[-2]))) == events[-1:]
        assert await server.sample("stillcue_replay_bytes") < 20 * 2**20
        assert await server.sample("stillcue_jobs_rejected_total{reason=events_dropped}") == 1


async def test_a_job_that_nobody_reads_is_bounded_in_memory() -> None:
    gate = Semaphore(3)
    engine = FakeEngine(gate=gate, capabilities=LARGE)
    async with served(engine, max_buffered_bytes=16 * 2**20) as server:
        first = await read_and_break(server, large(), 2)
        gate.release(100)
        await server.reaches("stillcue_running_jobs", 0)
        error = await failure_of(server.stub.Generate(going_on(first[-1])))
        assert await server.sample("stillcue_replay_bytes") < 4 * 2**20
    assert reason(error) == "EVENTS_DROPPED"
    assert len(engine.graph_calls) < 7 + 21


async def test_a_stalled_reader_loses_its_job_with_a_window_too() -> None:
    gate = Semaphore(7 + 10)
    engine = FakeEngine(gate=gate, capabilities=LARGE)
    async with (
        served(engine, max_stall_seconds=0.2) as server,
        grpc.aio.insecure_channel(str(server.address)) as channel,
    ):
        call = stub_of(channel).Generate(large())
        await anext(aiter(call))
        await server.reaches("stillcue_jobs_total{outcome=reader_stalled}", 1)
        await release_one_by_one(server, engine, gate)
        assert await server.sample("stillcue_detached_jobs") == 0
        assert reason(await failure_of(call)) == "READER_STALLED"
        cancel = generate_pb2.CancelGenerateRequest(request_id=REQUEST_ID)
        assert reason(await failure_of(server.stub.CancelGenerate(cancel))) == "JOB_NOT_FOUND"


async def test_what_is_kept_after_the_end_is_bounded_over_all_jobs() -> None:
    clip_bytes = 9 * 32 * 32 * 3
    async with served(FakeEngine(), max_resume_bytes=2 * clip_bytes + clip_bytes // 2) as server:
        ids = [f"00000000-0000-4000-8000-00000000000{number}" for number in range(3)]
        for request_id in ids:
            await read_all(server.stub.Generate(resumable(request_id=request_id)))
        await server.reaches("stillcue_detached_jobs", 2)  # a clip takes a little more than its pixels
        held = [await is_held(server, resumable(request_id=request_id)) for request_id in reversed(ids)]
    assert held == [True, True, False]


async def is_held(server: Served, request: generate_pb2.GenerateRequest) -> bool:
    resumed = await server.sample("stillcue_streams_resumed_total")
    call = server.stub.Generate(request)
    await anext(aiter(call))
    return await server.sample("stillcue_streams_resumed_total") > resumed


async def test_a_drain_ends_jobs_that_nobody_reads() -> None:
    gate = Semaphore(3)
    engine = FakeEngine(gate=gate)
    async with served(engine) as server:
        first = await read_and_break(server, resumable(), 2)
        await eventually(lambda: len(engine.graph_calls) == 3)
        await server.server.drain(asyncio.Event())
        assert await server.sample("stillcue_jobs_total{outcome=server_draining}") == 1
        assert await server.sample("stillcue_detached_jobs") == 0
        assert reason(await failure_of(server.stub.Generate(going_on(first[-1])))) == "SERVER_DRAINING"
        gate.release(1)
        await server.reaches("stillcue_running_jobs", 0)
    assert len(engine.graph_calls) == 3
