"""Deadlines of calls: they end jobs, cut resume windows, and explain cancels that arrive a moment before them."""

from __future__ import annotations

import asyncio
import time
from threading import Semaphore

import grpc
import grpc.aio
import pytest

from engine.api.errors import Cancelled
from engine.testing.fake_engine import FakeEngine
from server.errors.refusals import DeadlinePassed
from server.jobs.deadline import Deadline
from tests.fake_job import GRAPH_CALL_COUNT
from tests.resuming import going_on, raw, resumable, take
from tests.serving import failure_of, generate_request, reason, served, stub_of

DEADLINE_SECONDS = 1.5


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


async def test_a_resume_window_ends_at_the_deadline_of_the_call() -> None:
    gate = Semaphore(3)
    engine = FakeEngine(gate=gate)
    async with served(engine) as server:
        async with grpc.aio.insecure_channel(str(server.address)) as channel:
            await channel.channel_ready()
            started_at = time.perf_counter()
            first = await take(raw(channel, resumable(60), timeout=3), 2)
        await server.reaches("stillcue_detached_jobs", 1)
        await server.reaches("stillcue_jobs_total{outcome=reader_gone}", 1)  # in less than the window of 60 s
        assert time.perf_counter() - started_at >= 3 - 0.1
        assert await server.sample("stillcue_detached_jobs") == 0
        gate.release(1)  # the stopped job takes this permit, sees that it is to stop, and makes no call
        await server.reaches("stillcue_running_jobs", 0)
        assert reason(await failure_of(server.stub.Generate(going_on(first[-1])))) == "JOB_NOT_FOUND"
    assert len(engine.graph_calls) == 3 < GRAPH_CALL_COUNT


@pytest.mark.parametrize("is_resumable", [False, True])
async def test_a_cancel_a_moment_before_the_deadline_counts_as_the_deadline(is_resumable: bool) -> None:
    """The caller's clock usually fires first; a job with a resume window is not kept for a caller whose time is up."""
    gate = Semaphore(3)
    async with served(FakeEngine(gate=gate)) as server, grpc.aio.insecure_channel(str(server.address)) as channel:
        await channel.channel_ready()
        started_at = time.perf_counter()
        call = stub_of(channel).Generate(resumable() if is_resumable else generate_request(), timeout=DEADLINE_SECONDS)
        await anext(aiter(call))
        await asyncio.sleep(started_at + DEADLINE_SECONDS - 0.05 - time.perf_counter())
        call.cancel()
        await server.reaches("stillcue_jobs_total{outcome=deadline_exceeded}", 1)
        assert await server.sample("stillcue_jobs_total{outcome=cancelled}") == 0
        assert await server.sample("stillcue_detached_jobs") == 0
        gate.release(1)


@pytest.mark.parametrize(
    ("timeout_seconds", "remaining_seconds", "cause"),
    [
        (1.0, 0.0, DeadlinePassed),
        (1.0, 0.1, DeadlinePassed),
        (1.0, 0.11, Cancelled),
        (5.0, 0.1, DeadlinePassed),
        (100.0, 2.0, DeadlinePassed),  # 2 % of the timeout
        (100.0, 2.1, Cancelled),
        (None, None, Cancelled),
    ],
)
def test_how_near_to_the_deadline_a_cancel_counts_as_the_deadline(
    timeout_seconds: float | None, remaining_seconds: float | None, cause: type[Exception]
) -> None:
    remaining = timeout_seconds
    deadline = Deadline(lambda: remaining)
    remaining = remaining_seconds
    assert type(deadline.cause_of_cancel) is cause
