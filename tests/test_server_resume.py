"""Broken streams are resumed: the same bytes, one run of the engine, bounded time and memory."""

from __future__ import annotations

import asyncio
import logging
from threading import Semaphore
from typing import TYPE_CHECKING, Any

import grpc
import grpc.aio
import pytest
from google.protobuf.duration_pb2 import Duration

from engine.testing.fake_engine import FakeEngine
from server.jobs.resume_token import ResumeToken
from stillcue.v1 import generate_pb2, media_pb2
from tests.serving import (
    PATIENCE_SECONDS,
    REQUEST_ID,
    Served,
    eventually,
    failure_of,
    generate_request,
    kinds,
    read_all,
    reason,
    served,
    stub_of,
    violations,
)
from tests.test_server_ends import LARGE, release_one_by_one
from tests.test_server_quotas import SHOP, STUDIO, callers

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

GRAPH_CALL_COUNT = 10  # of the job of `generate_request`
EVENT_COUNT = 21
OTHER_ID = "00000000-0000-4000-8000-000000000000"


def resumable(seconds: float = 60, **fields: Any) -> generate_pb2.GenerateRequest:
    window = Duration()
    window.FromMilliseconds(round(seconds * 1000))
    request = generate_request(**fields)
    request.stream.resume_window.CopyFrom(window)
    return request


def going_on(event: bytes, request_id: str = REQUEST_ID) -> generate_pb2.GenerateRequest:
    """Takes a stream up again after this event."""
    token = generate_pb2.GenerateResponse.FromString(event).resume_token
    assert token
    return generate_pb2.GenerateRequest(request_id=request_id, resume_token=token)


def raw(channel: grpc.aio.Channel, request: generate_pb2.GenerateRequest, **call: Any) -> Any:
    """A Generate call whose events are the bytes of the wire."""
    method = channel.unary_stream(
        "/stillcue.v1.StillcueService/Generate",
        request_serializer=generate_pb2.GenerateRequest.SerializeToString,
        response_deserializer=None,
    )
    return method(request, **call)


async def read_bytes(call: Any) -> list[bytes]:
    async with asyncio.timeout(PATIENCE_SECONDS):
        return [event async for event in call]


async def take(call: Any, count: int) -> list[bytes]:
    events: AsyncIterator[bytes] = aiter(call)
    async with asyncio.timeout(PATIENCE_SECONDS):
        return [await anext(events) for _ in range(count)]


async def read_and_break(server: Served, request: generate_pb2.GenerateRequest, count: int) -> list[bytes]:
    """Reads some events over a connection that is then closed; returns when the server knows."""
    async with grpc.aio.insecure_channel(str(server.address)) as channel:
        events = await take(raw(channel, request), count)
    await server.reaches("stillcue_detached_jobs", 1)
    return events


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


async def test_a_deadline_ends_a_job_with_a_window() -> None:
    gate = Semaphore(3)
    engine = FakeEngine(gate=gate)
    async with served(engine) as server:
        error = await failure_of(server.stub.Generate(resumable(), timeout=0.3))
        assert error.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        await server.reaches("stillcue_jobs_total{outcome=deadline_exceeded}", 1)
        gate.release(1)
        await server.reaches("stillcue_cancel_latency_seconds_count", 1)
    assert len(engine.graph_calls) <= 3


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


async def test_tokens_that_are_none_or_not_of_the_job() -> None:
    async with served(FakeEngine()) as server:
        messages = await read_all(server.stub.Generate(resumable()))
        bad = generate_pb2.GenerateRequest(request_id=REQUEST_ID, resume_token="no token")
        error = await failure_of(server.stub.Generate(bad))
        assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert violations(error) == [
            ("resume_token", "is none of this service; send that of the last event received, or leave it empty")
        ]
        own = ResumeToken.decode(messages[-1].resume_token)
        guessed = generate_pb2.GenerateRequest(
            request_id=REQUEST_ID, resume_token=ResumeToken(bytes(16), own.next_number).encode()
        )
        assert reason(await failure_of(server.stub.Generate(guessed))) == "JOB_NOT_FOUND"
        ahead = generate_pb2.GenerateRequest(
            request_id=REQUEST_ID, resume_token=ResumeToken(own.run_id, own.next_number + 1).encode()
        )
        assert reason(await failure_of(server.stub.Generate(ahead))) == "EVENTS_DROPPED"
        elsewhere = generate_pb2.GenerateRequest(request_id=OTHER_ID, resume_token=messages[3].resume_token)
        assert reason(await failure_of(server.stub.Generate(elsewhere))) == "JOB_NOT_FOUND"


async def test_a_stream_is_taken_up_by_its_own_caller_only(tmp_path: Path) -> None:
    engine = FakeEngine()
    async with served(engine, callers=callers(tmp_path, "max_jobs=9")) as server:
        messages = await read_all(server.stub.Generate(resumable(), metadata=SHOP))
        resume = going_on(messages[3].SerializeToString())
        assert reason(await failure_of(server.stub.Generate(resume, metadata=STUDIO))) == "JOB_NOT_FOUND"
        cancel = generate_pb2.CancelGenerateRequest(request_id=REQUEST_ID)
        assert reason(await failure_of(server.stub.CancelGenerate(cancel, metadata=STUDIO))) == "JOB_NOT_FOUND"
        assert await read_all(server.stub.Generate(resume, metadata=SHOP)) == messages[4:]
        assert len(engine.graph_calls) == GRAPH_CALL_COUNT
        # The same id is another job where another caller sends it.
        assert kinds(await read_all(server.stub.Generate(resumable(), metadata=STUDIO)))[-1] == "summary"
    assert len(engine.graph_calls) == 2 * GRAPH_CALL_COUNT


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


async def test_a_job_that_nobody_reads_counts_for_its_caller() -> None:
    gate = Semaphore(3)
    async with served(FakeEngine(gate=gate), caller_max_jobs=1) as server:
        await read_and_break(server, resumable(), 2)
        assert reason(await failure_of(server.stub.Generate(generate_request()))) == "QUOTA_EXCEEDED"
        gate.release(7)
        await server.reaches("stillcue_running_jobs", 0)
        gate.release(10)
        assert kinds(await read_all(server.stub.Generate(generate_request())))[-1] == "summary"


async def test_a_caller_whose_streams_are_all_taken_can_end_one(tmp_path: Path) -> None:
    gate = Semaphore(3)
    async with served(FakeEngine(gate=gate), callers=callers(tmp_path, "max_streams=1")) as server:
        call = server.stub.Generate(resumable(), metadata=SHOP)
        await anext(aiter(call))
        await server.stub.CancelGenerate(generate_pb2.CancelGenerateRequest(request_id=REQUEST_ID), metadata=SHOP)
        assert reason(await failure_of(call)) == "CANCELLED"
        gate.release(1)


async def test_tokens_are_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with served(FakeEngine()) as server:
        messages = await read_all(server.stub.Generate(resumable()))
        await read_all(server.stub.Generate(going_on(messages[4].SerializeToString())))
        await failure_of(server.stub.Generate(generate_pb2.GenerateRequest(resume_token="secret-that-is-wrong")))
    assert "call ended" in caplog.text
    for secret in ("secret-that-is-wrong", *(message.resume_token for message in messages)):
        assert secret not in caplog.text
        assert not any(secret in str(vars(record)) for record in caplog.records if record.name.startswith("server"))
