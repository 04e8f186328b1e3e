"""The ends and refusals of attempts: deadline, resume window, quota, drain; wrong fields; a bundle without a fit."""

from __future__ import annotations

import asyncio
import dataclasses
from contextlib import asynccontextmanager
from threading import Semaphore
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from google.rpc import error_details_pb2

from engine.api.capabilities import Geometry
from engine.api.job import MAX_SEED
from engine.testing.fake_engine import FAKE_CAPABILITIES, FakeEngine
from stillcue.v1 import attempts_pb2, capabilities_pb2, generate_pb2, match_pb2, media_pb2
from tests.attempting import ACCEPTED, ALL, attempts_request, expected_attempts
from tests.fake_job import GRAPH_CALL_COUNT, without_clocks
from tests.resuming import OTHER_ID, going_on, raw, read_and_break, read_bytes, resumable
from tests.serving import detail, failure_of, generate_request, kinds, read_all, reason, served, violations
from tests.two_callers import SHOP, callers

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.serving import Served

# The fake engine reports 5 seconds of work for each attempt, whatever the clock says.
TOO_SHORT_SECONDS, LONG_SECONDS = 4.0, 60.0


@pytest.mark.parametrize("frames", [ALL, ACCEPTED])
async def test_no_attempt_begins_that_would_miss_the_deadline(frames: attempts_pb2.AttemptFrames) -> None:
    request = attempts_request(3, 3, frames)
    async with served(FakeEngine()) as server:
        messages = await read_all(server.stub.Generate(request, timeout=TOO_SHORT_SECONDS))
    assert without_clocks(messages) == expected_attempts(request, [False], 1, attempts_pb2.ATTEMPTS_END_DEADLINE)


async def test_a_deadline_with_room_ends_no_attempts() -> None:
    request = attempts_request(3, 3)
    async with served(FakeEngine()) as server:
        messages = await read_all(server.stub.Generate(request, timeout=LONG_SECONDS))
    assert messages[-1].summary.attempts_end == attempts_pb2.ATTEMPTS_END_ACCEPTED


async def test_of_two_readers_the_later_deadline_counts() -> None:
    gate = Semaphore(0)
    request = resumable(60, attempts=attempts_pb2.Attempts(maximum_count=2), sampling={"seed": 14})
    async with served(FakeEngine(gate=gate)) as server:
        calls = [server.stub.Generate(request, timeout=seconds) for seconds in (TOO_SHORT_SECONDS, LONG_SECONDS)]
        for call in calls:
            await anext(aiter(call))
        gate.release(2 * GRAPH_CALL_COUNT)
        for call in calls:
            assert (await read_all(call))[-1].summary.attempts_end == attempts_pb2.ATTEMPTS_END_ACCEPTED


@pytest.mark.parametrize(
    ("window_seconds", "end"),
    [(TOO_SHORT_SECONDS, attempts_pb2.ATTEMPTS_END_DEADLINE), (LONG_SECONDS, attempts_pb2.ATTEMPTS_END_ACCEPTED)],
)
async def test_a_job_that_nobody_reads_has_the_time_of_its_window(
    window_seconds: float, end: attempts_pb2.AttemptsEnd
) -> None:
    gate = Semaphore(3)
    request = resumable(window_seconds, attempts=attempts_pb2.Attempts(maximum_count=2), sampling={"seed": 14})
    async with served(FakeEngine(gate=gate)) as server:
        first = await read_and_break(server, request, 2)
        gate.release(2 * GRAPH_CALL_COUNT)
        await server.reaches("stillcue_running_jobs", 0)
        rest = await read_bytes(raw(server.channel, going_on(first[-1])))
    assert generate_pb2.GenerateResponse.FromString(rest[-1]).summary.attempts_end == end


async def test_a_further_attempt_counts_as_a_request_of_the_caller(tmp_path: Path) -> None:
    request = attempts_request(0, 8)
    async with served(FakeEngine(), callers=callers(tmp_path, "max_requests_per_minute=3")) as server:
        messages = await read_all(server.stub.Generate(request, metadata=SHOP))
        error = await failure_of(server.stub.Generate(generate_request(), metadata=SHOP))
    assert reason(error) == "QUOTA_EXCEEDED"
    expected = expected_attempts(request, [False] * 3, 3, attempts_pb2.ATTEMPTS_END_QUOTA)
    assert without_clocks(messages) == expected


@pytest.mark.parametrize("frames", [ALL, ACCEPTED])
async def test_a_server_that_drains_delivers_what_it_has(frames: attempts_pb2.AttemptFrames) -> None:
    gate = Semaphore(4)
    engine = FakeEngine(gate=gate)
    request = attempts_request(0, 8, frames)
    async with served(engine) as server:
        call = server.stub.Generate(request)
        first = await anext(aiter(call))
        draining = asyncio.create_task(server.server.drain(asyncio.Event()))
        await server.reaches("stillcue_serving", 0)
        gate.release(GRAPH_CALL_COUNT)
        messages = [first, *await read_all(call)]
        await draining
    assert without_clocks(messages) == expected_attempts(request, [False], 1, attempts_pb2.ATTEMPTS_END_DRAINING)
    assert len(engine.graph_calls) == GRAPH_CALL_COUNT


async def test_jobs_behind_are_told_of_a_further_attempt() -> None:
    gate = Semaphore(0)
    async with served(FakeEngine(gate=gate)) as server:
        running = server.stub.Generate(attempts_request(14, 2))
        await anext(aiter(running))
        waiting = server.stub.Generate(generate_request(request_id=OTHER_ID))
        await anext(aiter(waiting))
        gate.release(3 * GRAPH_CALL_COUNT)
        messages = await read_all(waiting)
        assert [item.queue_update.position for item in messages if item.HasField("queue_update")] == [1, 1, 0]
        assert (await read_all(running))[-1].summary.delivered_attempt == 2


@asynccontextmanager
async def capable(**changes: Any) -> AsyncIterator[Served]:
    capabilities = dataclasses.replace(FAKE_CAPABILITIES, **changes)
    async with served(FakeEngine(capabilities=capabilities), max_buffered_bytes=16 * 2**20) as server:
        yield server


@pytest.mark.parametrize("has_scorer", [True, False])
async def test_a_bundle_without_a_fit_refuses_attempts_and_says_what_to_do(has_scorer: bool) -> None:
    async with capable(accept_from=None, match_supported=has_scorer) as server:
        error = await failure_of(server.stub.Generate(attempts_request(3, 2)))
        single = await read_all(server.stub.Generate(attempts_request(3, 1)))
        told = await server.stub.GetCapabilities(capabilities_pb2.GetCapabilitiesRequest())
        assert await server.sample("stillcue_jobs_rejected_total{reason=success_fit_missing}") == 1
    assert error.code() is grpc.StatusCode.FAILED_PRECONDITION
    assert reason(error) == "SUCCESS_FIT_MISSING"
    assert error.details() == (
        "this bundle has no fitted success of clips, which judges attempts; send attempts.maximum_count 1, or let the "
        "server's operator fit it: python -m evaluation run, then python -m export.calibrate BUNDLE --outcomes"
    )
    failure = detail(error, error_details_pb2.PreconditionFailure)
    assert failure is not None
    assert [(item.type, item.subject) for item in failure.violations] == [
        ("SUCCESS_FIT_MISSING", "attempts.maximum_count")
    ]
    assert kinds(single)[-1] == "summary"
    assert not single[-1].summary.HasField("success")
    assert not told.HasField("attempts")


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"maximum_count": -1}, ("attempts.maximum_count", "is -1, outside 0 to 8")),
        ({"maximum_count": 9}, ("attempts.maximum_count", "is 9, outside 0 to 8")),
        ({"accept": 1.5}, ("attempts.accept", "is 1.5; send a probability from 0 to 1, or leave it unset")),
        ({"accept": -0.1}, ("attempts.accept", "is -0.1; send a probability from 0 to 1, or leave it unset")),
        ({"accept": float("nan")}, ("attempts.accept", "is nan; send a probability from 0 to 1, or leave it unset")),
        ({"frames": 7}, ("attempts.frames", "is 7; this server knows 0, 1, 2")),
    ],
)
async def test_wrong_fields_are_named(fields: dict[str, Any], told: tuple[str, str]) -> None:
    request = generate_request(attempts=attempts_pb2.Attempts(**{"maximum_count": 2, **fields}))
    async with served(FakeEngine()) as server:
        error = await failure_of(server.stub.Generate(request))
    assert reason(error) == "INVALID_JOB"
    assert violations(error) == [told]


async def test_attempts_need_a_match_and_room_for_their_seeds() -> None:
    off = match_pb2.MatchPolicy(mode=match_pb2.MATCH_MODE_OFF)
    async with served(FakeEngine()) as server:
        error = await failure_of(server.stub.Generate(attempts_request(MAX_SEED - 1, 3, match=off)))
        last = attempts_request(MAX_SEED - 2, 3, accept=0.95)
        assert [item.seed for item in (await read_all(server.stub.Generate(last)))[-1].summary.attempts] == [
            MAX_SEED - 2,
            MAX_SEED - 1,
            MAX_SEED,
        ]
    assert violations(error) == [
        ("match.mode", "is OFF, and attempts are judged by the match; send REPORT, or leave attempts unset"),
        (
            "sampling.seed",
            f"is {MAX_SEED - 1}, and each attempt adds 1 to it; for 3 attempts send at most {MAX_SEED - 2}",
        ),
    ]


async def test_two_clips_must_fit_into_the_buffer_to_be_held_back() -> None:
    """A clip of 800x640 and 9 frames is 13,824,000 bytes; as video at most half of that."""
    async with capable(geometries=(Geometry(800, 640, 9),)) as server:
        error = await failure_of(server.stub.Generate(attempts_request(3, 2, ACCEPTED)))
        alone = attempts_request(3, 2, ACCEPTED)
        alone.stream.video_container = media_pb2.VIDEO_CONTAINER_FRAGMENTED_MP4
        alone.stream.omit_frames = True
        for request in (attempts_request(3, 2, ALL), alone):
            call = server.stub.Generate(request)
            assert kinds([await anext(aiter(call))]) == ["accepted"]
            call.cancel()
    assert violations(error) == [
        (
            "attempts.frames",
            "is ACCEPTED, which may hold 27648000 bytes of two clips, more than this server's limit of 16777216; ask "
            "for fewer frames, a smaller size, the video alone (stream.omit_frames) or attempts.frames ALL",
        )
    ]
