"""Estimates of a job before it runs, jobs refused because of them, and turns between callers."""

from __future__ import annotations

from dataclasses import replace
from threading import Semaphore
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from google.rpc import error_details_pb2

from engine.api.cancellation import CancelFlag
from engine.api.capabilities import Geometry, MemoryPlan, StageMemory
from engine.api.events import Stage, StageStarted
from engine.api.job import Job, SamplingSpec, VideoSpec
from engine.api.media import Image
from engine.testing.fake_engine import FAKE_CAPABILITIES, FakeEngine
from server.errors.refusals import QueueFull
from server.jobs.estimates import Estimates
from server.rpc.status import status_of
from server.security.callers import hash_of
from stillcue.v1 import generate_pb2
from tests.fake_job import GRAPH_CALL_COUNT
from tests.serving import detail, failure_of, generate_request, kinds, png, read_all, reason, served

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from engine.api.job import PreparedJob

CALL_SECONDS = 0.1
STAGE = StageMemory(Stage.DECODE, None, (), (), (), weight_bytes=100, scratch_bytes=20, buffer_bytes=3)
PLANNED = replace(FAKE_CAPABILITIES, memory_plans=(MemoryPlan(Geometry(32, 32, 9), (STAGE,)),))


async def first_of(call: Any, kind: str) -> Any:
    async for message in call:
        if message.WhichOneof("event") == kind:
            return getattr(message, kind)
    raise AssertionError(f"no {kind}")


def long_request() -> generate_pb2.GenerateRequest:
    """100 steps: at least 10 s on the engine below."""
    return generate_request(sampling=generate_pb2.SamplingSpec(step_count=100))


async def test_the_life_of_an_estimate(promise: Callable[[str, str], None]) -> None:
    engine = FakeEngine(call_seconds=CALL_SECONDS, capabilities=PLANNED)
    async with served(engine, queue_capacity=1) as server:
        messages = await read_all(server.stub.Generate(generate_request()))
        unknown = messages[0].accepted.estimate
        assert not unknown.HasField("work_duration")  # nobody has seen a job yet
        assert unknown.wait_duration.ToNanoseconds() == 0
        assert unknown.peak_memory_bytes == 123

        made = len(engine.graph_calls)
        error = await failure_of(server.stub.Generate(long_request(), timeout=9))
        assert error.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        assert reason(error) == "DEADLINE_TOO_SHORT"
        assert "send a later deadline" in (error.details() or "")
        info = detail(error, error_details_pb2.ErrorInfo)
        assert info is not None
        assert float(info.metadata["work_seconds"]) >= 10.0 > float(info.metadata["remaining_seconds"])
        assert len(engine.graph_calls) == made
        assert await server.sample("stillcue_jobs_rejected_total{reason=deadline_too_short}") == 1

        running = server.stub.Generate(long_request())
        accepted = await first_of(running, "accepted")
        assert accepted.estimate.work_duration.ToNanoseconds() >= 10e9
        waiting = server.stub.Generate(generate_request())
        accepted = await first_of(waiting, "accepted")
        assert 1e9 <= accepted.estimate.work_duration.ToNanoseconds() < 10e9
        assert accepted.estimate.wait_duration.ToNanoseconds() > 1e9
        update = await first_of(waiting, "queue_update")
        assert update.position == 1
        assert update.wait_duration.ToNanoseconds() > 1e9

        error = await failure_of(server.stub.Generate(generate_request()))
        assert reason(error) == "QUEUE_FULL"
        failure, retry = detail(error, error_details_pb2.QuotaFailure), detail(error, error_details_pb2.RetryInfo)
        assert failure is not None
        assert [item.subject for item in failure.violations] == ["queue"]
        assert retry is not None
        assert retry.retry_delay.ToNanoseconds() >= 1e9
        running.cancel()
        assert kinds(await read_all(waiting))[-1] == "summary"
    promise("deadline", "10 s of work with 9 s to go: DEADLINE_TOO_SHORT, 0 graph calls")


def test_a_place_that_is_free_at_once_is_worth_a_second() -> None:
    assert QueueFull(1, 0.0).retry_seconds == 1.0
    assert QueueFull(1, 40.0).retry_seconds == 40.0
    assert QueueFull(1).retry_seconds == 5.0
    assert status_of(QueueFull(1), "id").code is grpc.StatusCode.RESOURCE_EXHAUSTED


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def prepared(frame_count: int = 9, step_count: int = 4, guidance_scale: float = 3.0) -> PreparedJob:
    sampling = SamplingSpec(step_count, guidance_scale, guidance_scale)
    job = Job(Image(png()), "a fox", video=VideoSpec(32, 32, frame_count), sampling=sampling)
    return FakeEngine().prepare(job)


def run(estimates: Estimates, clock: Clock, job: PreparedJob, step_seconds: float, other_seconds: float) -> None:
    timer = estimates.timer(job)
    timer.work_started(0.0)
    for event in FakeEngine().generate(job, CancelFlag()):
        if isinstance(event, StageStarted):
            clock.now += other_seconds if event.stage is Stage.DECODE else 0.0
        elif type(event).__name__ == "StepDone":
            clock.now += step_seconds
        timer.engine_event(event)


def test_an_estimate_is_the_median_for_the_size_and_grows_with_the_steps() -> None:
    clock = Clock()
    estimates = Estimates(FAKE_CAPABILITIES, clock)
    assert estimates.of(prepared()).work_seconds is None
    for step_seconds in (9.0, 2.0, 2.0):  # the first job warms up
        run(estimates, clock, prepared(), step_seconds, 5.0)
    assert estimates.of(prepared()).work_seconds == pytest.approx(4 * 2.0 + 5.0)
    assert estimates.of(prepared(step_count=10)).work_seconds == pytest.approx(10 * 2.0 + 5.0)
    assert estimates.of(prepared()).is_trusted


def test_a_size_that_nobody_has_seen_is_scaled_and_refuses_nobody() -> None:
    clock = Clock()
    estimates = Estimates(FAKE_CAPABILITIES, clock)
    run(estimates, clock, prepared(), 2.0, 1.0)
    longer, unguided = estimates.of(prepared(frame_count=17)), estimates.of(prepared(guidance_scale=1.0))
    assert longer.work_seconds == pytest.approx((4 * 2.0 + 1.0) * 17 / 9)
    assert unguided.work_seconds == pytest.approx((4 * 2.0 + 1.0) / 2)
    assert not longer.is_trusted
    assert not unguided.is_trusted


def test_an_old_estimate_refuses_nobody_so_that_a_faster_server_is_found_out() -> None:
    clock = Clock()
    estimates = Estimates(FAKE_CAPABILITIES, clock)
    run(estimates, clock, prepared(), 2.0, 1.0)
    clock.now += 899.0
    assert estimates.of(prepared()).is_trusted
    clock.now += 2.0
    assert not estimates.of(prepared()).is_trusted
    assert estimates.of(prepared()).work_seconds == pytest.approx(9.0)


async def test_callers_take_turns(tmp_path: Path, promise: Callable[[str, str], None]) -> None:
    path = tmp_path / "callers"
    path.write_text(f"shop {hash_of('shop')}\nstudio {hash_of('studio')}\n")
    gate = Semaphore(0)
    async with served(FakeEngine(gate=gate), callers=path) as server:

        async def ask(caller: str, seed: int) -> Any:
            sampling = generate_pb2.SamplingSpec(seed=seed)
            metadata = (("authorization", f"Bearer {caller}"),)
            call = server.stub.Generate(generate_request(sampling=sampling), metadata=metadata)
            await first_of(call, "accepted")
            return call

        shop = [await ask("shop", seed) for seed in range(3)]
        assert [(await first_of(call, "queue_update")).position for call in shop[1:]] == [1, 2]
        studio = [await ask("studio", seed) for seed in range(3, 5)]
        positions = [(await first_of(call, "queue_update")).position for call in studio]
        assert positions == [1, 3]  # each one's second job after everybody's first
        assert (await first_of(shop[1], "queue_update")).position == 2
        assert [(await first_of(shop[2], "queue_update")).position for _ in range(2)] == [3, 4]
        for call in (shop[0], studio[0], shop[1], studio[1], shop[2]):
            gate.release(GRAPH_CALL_COUNT)
            assert kinds(await read_all(call))[-1] == "summary"
    promise("turns", "3 jobs of one and 2 of another: in turns, 5 of 5 complete")
