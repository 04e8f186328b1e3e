"""Estimates of chains: each segment is estimated and learned like a clip; the text is encoded once."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from engine.api.chain import SegmentStarted
from engine.api.events import Expert, Stage, StageStarted, StepDone
from server.jobs.estimates import Estimate, Estimates
from server.jobs.job_timer import JobTimer
from tests.jobs.chains import chain_done, prepared_chain, segment_done
from tests.jobs.scripted import DENOISE, DONE, TEXT, Clock, prepared
from tests.jobs.test_estimates import PLANNED

IMAGE, DECODE = StageStarted(Stage.ENCODE_IMAGE), StageStarted(Stage.DECODE)
UNGUIDED: dict[str, Any] = {"guidance_scale": 1.0, "guidance_scale_low_noise": 1.0}


class Server:
    """Estimates, and clips that run by the test's clock: 4 steps of the given time, 3 s of text, 5 s of the rest."""

    def __init__(self) -> None:
        self.clock = Clock(5_000.0)
        self.estimates = Estimates(PLANNED, self.clock)

    def run(self) -> None:
        """A clip of one segment: steps of 2 s."""
        timer = self.estimates.timer(prepared())
        timer.work_started(0.0)
        self.make(timer, 2.0, has_text=True)
        timer.engine_event(DONE)

    def make(
        self,
        timer: JobTimer,
        step_seconds: float,
        *,
        has_text: bool,
        other_seconds: float = 5.0,
        loses_engine: bool = False,
    ) -> None:
        if has_text:
            timer.engine_event(TEXT)
            self.clock.seconds += 3.0
        timer.engine_event(IMAGE)
        self.clock.seconds += other_seconds - 1.0
        timer.engine_event(DENOISE)
        for step in range(1, 5):
            self.clock.seconds += step_seconds
            timer.engine_event(StepDone(step, 4, Expert.SINGLE, step_seconds))
        if loses_engine:
            timer.retried()
        timer.engine_event(DECODE)
        self.clock.seconds += 1.0

    def segment(self, timer: JobTimer, number: int, step_seconds: float, *, loses_engine: bool = False) -> None:
        timer.engine_event(SegmentStarted(number, 3))
        self.make(timer, step_seconds, has_text=number == 1, loses_engine=loses_engine)
        timer.engine_event(segment_done(number))

    def seconds(self) -> float | None:
        return self.estimates.of(prepared()).work_seconds


def test_a_chain_takes_the_time_of_its_segments_and_of_the_text_once() -> None:
    server = Server()
    server.run()
    assert server.seconds() == 4 * 2.0 + 3.0 + 5.0
    expected = Estimate(3 * (4 * 2.0 + 5.0) + 3.0, is_trusted=True, peak_memory_bytes=123)
    assert server.estimates.of(prepared_chain()) == expected


def test_before_the_first_completed_clip_only_the_memory_of_a_chain_is_known() -> None:
    assert Server().estimates.of(prepared_chain()) == Estimate(None, is_trusted=False, peak_memory_bytes=123)


def test_a_chain_is_trusted_if_all_of_its_segments_are_and_planned_if_all_are() -> None:
    server = Server()
    server.run()
    job = prepared_chain()
    longer = replace(job.segments[2], settings=replace(job.segments[2].settings, frame_count=18))
    estimate = server.estimates.of(replace(job, segments=(*job.segments[:2], longer)))
    assert estimate == Estimate(4 * (4 * 2.0 + 5.0) + 3.0, is_trusted=False, peak_memory_bytes=None)


def test_every_segment_teaches_as_a_clip_of_its_settings() -> None:
    server = Server()
    job = prepared_chain()
    unguided = replace(job.segments[2], settings=replace(job.segments[2].settings, **UNGUIDED))
    job = replace(job, segments=(*job.segments[:2], unguided))
    timer = server.estimates.timer(job)
    timer.work_started(0.0)
    server.segment(timer, 1, 2.0)
    assert server.seconds() == 4 * 2.0 + 3.0 + 5.0  # the chain is not at its end
    server.segment(timer, 2, 6.0)
    server.segment(timer, 3, 1.0)
    timer.engine_event(chain_done(*map(segment_done, (1, 2, 3))))
    assert server.seconds() == 4 * 4.0 + 3.0 + 5.0  # the median of 2 and 6
    assert server.estimates.of(prepared(**UNGUIDED)).work_seconds == 4 * 1.0 + 5.0
    assert server.estimates.of(job).work_seconds == 2 * (4 * 4.0 + 5.0) + 3.0 + 4 * 1.0 + 5.0


def test_a_segment_that_lost_its_engine_teaches_nothing_and_the_next_one_does() -> None:
    server = Server()
    timer = server.estimates.timer(prepared_chain())
    timer.work_started(0.0)
    server.segment(timer, 1, 64.0, loses_engine=True)
    assert server.seconds() is None
    server.segment(timer, 2, 2.0)
    assert server.seconds() == 4 * 2.0 + 5.0


def test_each_attempt_teaches_from_its_first_segment_on() -> None:
    server = Server()
    timer = server.estimates.timer(prepared_chain())
    timer.work_started(0.0)
    server.segment(timer, 1, 2.0)
    server.clock.seconds += 1_000.0
    timer.attempt_started(2)
    server.segment(timer, 1, 4.0)
    assert server.seconds() == 4 * 3.0 + 3.0 + 5.0
