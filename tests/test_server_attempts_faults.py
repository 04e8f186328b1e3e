"""Attempts whose job is cancelled, loses its engine, loses its reader, or is asked for twice."""

from __future__ import annotations

from threading import Semaphore

import pytest

from engine.testing.fake_engine import FakeEngine
from stillcue.v1 import attempts_pb2, generate_pb2
from tests.attempting import ACCEPTED, ALL, attempts_request, expected_attempts
from tests.fake_job import GRAPH_CALL_COUNT, GRAPH_CALLS, without_clocks
from tests.faulty_engine import LosingEngine
from tests.resuming import going_on, raw, read_and_break, read_bytes, resumable, take
from tests.serving import REQUEST_ID, eventually, failure_of, generate_request, kinds, read_all, reason, served

BOTH = pytest.mark.parametrize("frames", [ALL, ACCEPTED], ids=["all", "accepted"])
FRAME_BYTES = 32 * 32 * 3


def lasting(frames: attempts_pb2.AttemptFrames) -> generate_pb2.GenerateRequest:
    """Two attempts of a resumable job: seed 14 fails, seed 15 is accepted."""
    attempts = attempts_pb2.Attempts(maximum_count=3, frames=frames)
    return resumable(60, attempts=attempts, sampling={"seed": 14})


@BOTH
async def test_a_cancel_in_the_second_attempt_ends_the_job(frames: attempts_pb2.AttemptFrames) -> None:
    gate = Semaphore(GRAPH_CALL_COUNT + 4)
    engine = FakeEngine(gate=gate)
    async with served(engine) as server:
        call = server.stub.Generate(attempts_request(3, 8, frames))
        await anext(aiter(call))
        await eventually(lambda: len(engine.graph_calls) == GRAPH_CALL_COUNT + 4)
        call.cancel()
        await server.reaches("stillcue_jobs_total{outcome=cancelled}", 1)
        gate.release(1)
        await server.reaches("stillcue_running_jobs", 0)
        assert await server.sample("stillcue_cancel_latency_seconds_count") == 1
        assert await server.sample("stillcue_attempts_total{outcome=rejected}") == 1
        gate.release(GRAPH_CALL_COUNT)
        assert kinds(await read_all(server.stub.Generate(generate_request())))[-1] == "summary"
    assert engine.graph_calls == [*GRAPH_CALLS, *GRAPH_CALLS[:4], *GRAPH_CALLS]


async def test_a_job_with_a_window_is_cancelled_in_its_second_attempt() -> None:
    gate = Semaphore(GRAPH_CALL_COUNT + 9)
    engine = FakeEngine(gate=gate)
    async with served(engine) as server:
        call = server.stub.Generate(lasting(ACCEPTED))
        await anext(aiter(call))
        await eventually(lambda: len(engine.graph_calls) == GRAPH_CALL_COUNT + 9)
        await server.stub.CancelGenerate(generate_pb2.CancelGenerateRequest(request_id=REQUEST_ID))
        assert reason(await failure_of(call)) == "CANCELLED"
        gate.release(1)
        await server.reaches("stillcue_running_jobs", 0)
        assert await server.sample("stillcue_replay_bytes") == 0


@BOTH
@pytest.mark.parametrize("at", [5, 9, 10])  # while denoising, among the frames, before the last of them
async def test_an_engine_lost_in_the_second_attempt_repeats_that_attempt_alone(
    frames: attempts_pb2.AttemptFrames, at: int
) -> None:
    engine, request = LosingEngine(GRAPH_CALL_COUNT + at), lasting(frames)
    async with served(engine) as server:
        messages = await read_all(server.stub.Generate(request))
        assert await server.sample("stillcue_jobs_begun_again_total") == 1
        assert await server.sample("stillcue_attempts_total{outcome=rejected}") == 1
    for message in messages:
        message.ClearField("resume_token")
        message.accepted.ClearField("resume_window") if message.HasField("accepted") else None
    expected = expected_attempts(request, [False, True], 2, attempts_pb2.ATTEMPTS_END_ACCEPTED)
    assert without_clocks(messages) == expected
    assert engine.graph_calls == [*GRAPH_CALLS, *GRAPH_CALLS[:at], *GRAPH_CALLS]


async def test_each_attempt_may_lose_its_engine_once() -> None:
    engine = LosingEngine(3, 3 + GRAPH_CALL_COUNT + 3)
    async with served(engine) as server:
        messages = await read_all(server.stub.Generate(lasting(ALL)))
        assert await server.sample("stillcue_jobs_begun_again_total") == 2
    assert messages[-1].summary.delivered_attempt == 2


async def test_an_attempt_that_loses_two_engines_ends_the_job() -> None:
    async with served(LosingEngine(GRAPH_CALL_COUNT + 3, GRAPH_CALL_COUNT + 6)) as server:
        call = server.stub.Generate(lasting(ALL))
        messages = [await anext(aiter(call)) for _ in range(21)]
        error = await failure_of(call)
    assert kinds(messages)[-1] == "attempt_ended"
    assert reason(error) == "ENGINE_LOST"


@pytest.mark.parametrize(
    ("frames", "call_count", "event_count", "attempt"),
    [
        (ALL, GRAPH_CALL_COUNT, 21, 1),  # after the first attempt
        (ALL, GRAPH_CALL_COUNT + 3, 26, 2),
        (ALL, GRAPH_CALL_COUNT + 9, 32, 2),
        (ACCEPTED, GRAPH_CALL_COUNT, 12, 1),
        (ACCEPTED, GRAPH_CALL_COUNT + 3, 17, 2),
        (ACCEPTED, GRAPH_CALL_COUNT + 9, 22, 2),  # four frames are held back
        (ACCEPTED, 2 * GRAPH_CALL_COUNT, 27, 2),  # among the frames that were released
    ],
)
async def test_a_stream_that_breaks_in_the_second_attempt_goes_on_with_the_same_bytes(
    frames: attempts_pb2.AttemptFrames, call_count: int, event_count: int, attempt: int
) -> None:
    gate = Semaphore(call_count)
    engine = FakeEngine(gate=gate)
    async with served(engine) as server:
        first = await read_and_break(server, lasting(frames), event_count)
        gate.release(2 * GRAPH_CALL_COUNT)
        rest = await read_bytes(raw(server.channel, going_on(first[-1])))
        whole = await read_bytes(raw(server.channel, lasting(frames)))
        assert first + rest == whole
        assert await read_bytes(raw(server.channel, going_on(whole[5]))) == whole[6:]
    assert engine.graph_calls == GRAPH_CALLS * 2
    last = generate_pb2.GenerateResponse.FromString(first[-1])
    assert last.attempt == attempt


async def test_the_same_request_twice_is_one_run_of_two_attempts() -> None:
    gate = Semaphore(4)
    engine = FakeEngine(gate=gate)
    async with served(engine) as server:
        calls = [raw(server.channel, lasting(ACCEPTED)) for _ in range(2)]
        firsts = [await take(call, 5) for call in calls]
        gate.release(2 * GRAPH_CALL_COUNT)
        wholes = [first + await read_bytes(call) for first, call in zip(firsts, calls, strict=True)]
        assert wholes[0] == wholes[1]
        assert await server.sample("stillcue_jobs_total{outcome=completed}") == 1
    assert engine.graph_calls == GRAPH_CALLS * 2


async def test_only_the_delivered_clip_is_kept_for_resuming() -> None:
    async with served(FakeEngine()) as server:
        messages = await read_all(server.stub.Generate(lasting(ACCEPTED)))
        await server.reaches("stillcue_detached_jobs", 1)
        kept_bytes = await server.sample("stillcue_replay_bytes")
        await server.stub.CancelGenerate(generate_pb2.CancelGenerateRequest(request_id=REQUEST_ID))
        assert await server.sample("stillcue_replay_bytes") == 0
    stream_bytes = sum(message.ByteSize() for message in messages)
    picture_bytes = FRAME_BYTES
    heads = 160 * len(messages)  # more than the head and the resume token of each message
    assert 0 <= stream_bytes + picture_bytes - kept_bytes < heads
