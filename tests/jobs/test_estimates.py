"""Estimates from the times of earlier jobs; every time is set by the test's clock."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from engine.api.capabilities import Geometry, MemoryPlan, StageMemory
from engine.api.events import Expert, Stage, StageStarted, StepDone
from engine.api.reuse import StepReuse, StepWork
from engine.testing.fake_engine import FAKE_CAPABILITIES
from server.jobs.estimates import Estimate, Estimates
from server.jobs.job_timer import JobTimer
from tests.jobs.scripted import DENOISE, DONE, Clock, prepared

FULL, GUIDANCE_REUSED, REUSED = StepWork
STAGE = StageMemory(Stage.DECODE, None, (), (), (), weight_bytes=100, scratch_bytes=20, buffer_bytes=3)
PLANNED = replace(FAKE_CAPABILITIES, memory_plans=(MemoryPlan(Geometry(32, 32, 9), (STAGE,)),))


class Server:
    """Estimates, and jobs that run by the test's clock."""

    def __init__(self) -> None:
        self.clock = Clock(5_000.0)
        self.estimates = Estimates(PLANNED, self.clock)

    def run(
        self,
        step_seconds: float,
        other_seconds: float,
        *,
        step_count: int = 4,
        is_retried: bool = False,
        is_completed: bool = True,
        **settings: object,
    ) -> JobTimer:
        """``other_seconds`` fall evenly before and after denoising."""
        timer = self.estimates.timer(prepared(step_count=step_count, **settings))
        timer.work_started(0.0)
        self.work(timer, step_seconds, other_seconds, step_count, is_retried=is_retried, is_completed=is_completed)
        return timer

    def work(
        self,
        timer: JobTimer,
        step_seconds: float,
        other_seconds: float,
        step_count: int = 4,
        *,
        is_retried: bool = False,
        is_completed: bool = True,
    ) -> None:
        """One attempt."""
        timer.engine_event(StageStarted(Stage.MATCH))
        self.clock.seconds += other_seconds / 2
        timer.engine_event(DENOISE)
        for step in range(1, step_count + 1):
            self.clock.seconds += step_seconds
            timer.engine_event(StepDone(step, step_count, Expert.SINGLE, step_seconds))
            if is_retried and step == 1:
                timer.retried()
        timer.engine_event(StageStarted(Stage.DECODE))
        self.clock.seconds += other_seconds / 2
        if is_completed:
            timer.engine_event(DONE)

    def seconds(self, **settings: object) -> float | None:
        return self.estimates.of(prepared(**settings)).work_seconds


def test_an_estimate_says_nothing_by_default() -> None:
    assert Estimate() == Estimate(work_seconds=None, is_trusted=False, peak_memory_bytes=None)


def test_before_the_first_completed_job_only_the_memory_is_known() -> None:
    server = Server()
    assert server.estimates.of(prepared()) == Estimate(None, is_trusted=False, peak_memory_bytes=123)
    assert server.estimates.of(prepared(frame_count=17)) == Estimate()


def test_the_time_of_a_job_is_that_of_its_steps_and_of_everything_else() -> None:
    server = Server()
    server.run(2.0, 6.0)
    assert server.estimates.of(prepared()) == Estimate(4 * 2.0 + 6.0, is_trusted=True, peak_memory_bytes=123)
    assert server.seconds(step_count=10) == 10 * 2.0 + 6.0


def test_times_are_medians_over_the_last_nine_jobs() -> None:
    server = Server()
    for step_seconds, other_seconds in ((1.0, 30.0), (8.0, 10.0), (2.0, 20.0)):
        server.run(step_seconds, other_seconds)
    assert server.seconds(step_count=1) == 2.0 + 20.0
    for _ in range(4):
        server.run(64.0, 128.0)
    assert server.seconds(step_count=1) == 64.0 + 128.0
    for _ in range(5):  # of nine samples, four are older than these
        server.run(4.0, 8.0)
    assert server.seconds(step_count=1) == 4.0 + 8.0


def test_old_jobs_are_forgotten() -> None:
    server = Server()
    for step_seconds, other_seconds in [(1.0, 2.0)] * 5 + [(16.0, 32.0)] * 4:
        server.run(step_seconds, other_seconds)
    assert server.seconds(step_count=1) == 1.0 + 2.0
    server.run(16.0, 32.0)
    assert server.seconds(step_count=1) == 16.0 + 32.0


def test_a_size_without_a_completed_job_takes_the_nearest_one_scaled_by_its_pixels() -> None:
    server = Server()
    server.run(1.0, 4.0, width_px=64)  # 64 * 32 * 9 pixels, two forwards
    server.run(100.0, 0.0, width_px=1024)
    for settings, scale in (
        ({"width_px": 32}, 1 / 2),
        ({"width_px": 64, "height_px": 64}, 2),
        ({"width_px": 64, "frame_count": 18}, 2),
        ({"width_px": 64, "guidance_scale": 1.0, "guidance_scale_low_noise": 1.0}, 1 / 2),
    ):
        estimate = server.estimates.of(prepared(**settings))
        assert estimate.work_seconds == (4 * 1.0 + 4.0) * scale
        assert not estimate.is_trusted
    assert server.seconds(width_px=768) == 400.0 * 768 / 1024
    assert server.seconds(width_px=2048) == 400.0 * 2
    assert server.seconds(width_px=500) == 8.0 * 500 / 64


def test_the_same_kind_comes_before_a_kind_of_equal_cost() -> None:
    server = Server()
    server.run(100.0, 0.0, width_px=16, height_px=64)
    server.run(1.0, 0.0)
    assert server.estimates.of(prepared()) == Estimate(4.0, is_trusted=True, peak_memory_bytes=123)


def test_a_job_is_guided_where_either_scale_exceeds_one() -> None:
    unguided: dict[str, Any] = {"guidance_scale": 1.0, "guidance_scale_low_noise": 1.0}
    one_expert: dict[str, Any] = {"guidance_scale": 3.5, "guidance_scale_low_noise": None}
    low_noise_only: dict[str, Any] = {"guidance_scale": 1.0, "guidance_scale_low_noise": 3.5}
    for settings, cost in (
        (unguided, 1),
        (unguided | {"guidance_scale_low_noise": None}, 1),
        (one_expert, 2),
        (low_noise_only, 2),
        ({"guidance_scale": 3.5, "guidance_scale_low_noise": 1.0}, 2),
        ({"guidance_scale": 1.5, "guidance_scale_low_noise": 1.0}, 2),
    ):
        server = Server()
        server.run(1.0, 0.0, **unguided)
        assert server.seconds(**settings) == 4.0 * cost


def test_an_estimate_is_trusted_for_a_quarter_of_an_hour() -> None:
    server = Server()
    server.run(1.0, 1.0)
    server.clock.seconds += 899.0
    assert server.estimates.of(prepared()).is_trusted
    server.clock.seconds += 1.0
    assert server.estimates.of(prepared()) == Estimate(5.0, is_trusted=False, peak_memory_bytes=123)
    server.run(1.0, 1.0)
    assert server.estimates.of(prepared()).is_trusted


def test_only_completed_jobs_teach() -> None:
    server = Server()
    server.run(1.0, 1.0, is_completed=False)
    assert server.seconds() is None


def test_a_retried_job_teaches_nothing() -> None:
    server = Server()
    server.run(1.0, 1.0, is_retried=True)
    assert server.seconds() is None


def test_each_attempt_teaches_as_a_job_does() -> None:
    server = Server()
    timer = server.run(2.0, 6.0)
    for number, step_seconds in ((2, 3.0), (3, 4.0)):
        server.clock.seconds += 1_000.0
        timer.attempt_started(number)
        server.work(timer, step_seconds, 6.0)
    assert server.seconds() == 4 * 3.0 + 6.0  # medians of 2, 3, 4 and of 6, 6, 6


def test_an_attempt_after_a_retried_one_teaches() -> None:
    server = Server()
    timer = server.run(2.0, 6.0, is_retried=True)
    assert server.seconds() is None
    timer.attempt_started(2)
    server.work(timer, 3.0, 6.0)
    assert server.seconds() == 4 * 3.0 + 6.0


def test_a_job_without_steps_teaches_nothing() -> None:
    server = Server()
    timer = server.estimates.timer(prepared())
    timer.work_started(0.0)
    timer.engine_event(DONE)
    assert server.seconds() is None


STEP_SECONDS = {FULL: 2.0, GUIDANCE_REUSED: 1.0, REUSED: 0.25}
BALANCED = {"step_count": 10, "reuse": StepReuse.BALANCED}
BALANCED_WORKS = [FULL] * 5 + [GUIDANCE_REUSED] * 2 + [REUSED] * 2 + [FULL]
BALANCED_SECONDS = 6 * 2.0 + 2 * 1.0 + 2 * 0.25


def run_with_reuse(server: Server, works: list[StepWork], other_seconds: float, scale: float = 1.0) -> None:
    """A job of the reuse BALANCED whose steps do ``works``."""
    timer = server.estimates.timer(prepared(step_count=len(works), reuse=StepReuse.BALANCED))
    timer.work_started(0.0)
    timer.engine_event(DENOISE)
    for step, work in enumerate(works, start=1):
        server.clock.seconds += scale * STEP_SECONDS[work]
        timer.engine_event(StepDone(step, len(works), Expert.SINGLE, scale * STEP_SECONDS[work], work=work))
    server.clock.seconds += other_seconds
    timer.engine_event(DONE)


def test_a_job_with_reuse_takes_as_long_as_the_last_one_with_the_same_reuse_and_steps() -> None:
    server = Server()
    run_with_reuse(server, BALANCED_WORKS, 5.0)
    assert server.estimates.of(prepared(**BALANCED)).work_seconds == BALANCED_SECONDS + 5.0
    assert server.estimates.of(prepared(**BALANCED)).is_trusted


def test_a_job_without_reuse_is_estimated_by_the_full_steps_of_jobs_with_reuse() -> None:
    server = Server()
    run_with_reuse(server, BALANCED_WORKS, 5.0)
    assert server.estimates.of(prepared(step_count=10)) == Estimate(10 * 2.0 + 5.0, True, 123)


def test_jobs_without_reuse_teach_nothing_about_how_much_is_reused() -> None:
    server = Server()
    server.run(2.0, 5.0, step_count=10)
    assert server.estimates.of(prepared(**BALANCED)) == Estimate(10 * 2.0 + 5.0, False, 123)


def test_reuse_that_nobody_has_seen_counts_full_steps_and_refuses_nobody() -> None:
    server = Server()
    run_with_reuse(server, BALANCED_WORKS, 5.0)
    for settings in (
        {"step_count": 20, "reuse": StepReuse.BALANCED},
        {"step_count": 20, "reuse": StepReuse.FAST},
    ):
        assert server.estimates.of(prepared(**settings)) == Estimate(20 * 2.0 + 5.0, False, 123)


def test_a_slower_machine_makes_both_kinds_of_jobs_longer() -> None:
    server = Server()
    run_with_reuse(server, BALANCED_WORKS, 5.0)
    for _ in range(3):
        server.run(4.0, 5.0, step_count=10)
    assert server.seconds(**BALANCED) == 2 * BALANCED_SECONDS + 5.0
    assert server.seconds(step_count=10) == 10 * 4.0 + 5.0


def test_the_share_that_is_reused_is_a_median_too() -> None:
    server = Server()
    for works in ([FULL] * 10, [FULL] * 8 + [REUSED] * 2, [FULL] * 6 + [REUSED] * 4):
        run_with_reuse(server, works, 0.0)
    assert server.seconds(**BALANCED) == 8 * 2.0 + 2 * 0.25


def test_reuse_of_a_size_without_a_completed_job_is_scaled_as_full_steps_are() -> None:
    server = Server()
    run_with_reuse(server, BALANCED_WORKS, 5.0)
    estimate = server.estimates.of(prepared(width_px=64, **BALANCED))
    assert estimate.work_seconds == 2 * (BALANCED_SECONDS + 5.0)
    assert not estimate.is_trusted
