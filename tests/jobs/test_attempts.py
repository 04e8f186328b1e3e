"""Attempts of a job: which clip is accepted or delivered, and what ends them. The order of reasons is exact."""

from __future__ import annotations

from dataclasses import replace

import pytest

from engine.api.chain import ChainStop
from engine.api.job import MAX_SEED
from engine.api.match_report import SuccessBasis, SuccessEstimate
from engine.testing.fake_match import fake_match_report
from server.jobs.attempt_plan import AttemptFrames, AttemptPlan
from server.jobs.attempts import AttemptsEnd, JobAttempts
from tests.jobs.chains import chain_done, prepared_chain, segment_done
from tests.jobs.scripted import DONE, prepared


class Tries:
    """Attempts of a job with seed 7, at most 3, accepted from 0.5. Attempt k works 10 k seconds."""

    def __init__(self, *refusals: AttemptsEnd | None) -> None:
        self.refusals = list(refusals)
        self.attempts = JobAttempts(AttemptPlan(3, 0.5, AttemptFrames.ALL), prepared(), lambda: self.refusals.pop(0))

    def judge(self, probability: float | None, remaining_seconds: float | None = None) -> AttemptsEnd | None:
        number = self.attempts.number
        success = None if probability is None else SuccessEstimate(probability, SuccessBasis.MEASURED)
        done = replace(
            DONE,
            success=success,
            work_seconds=10.0 * number,
            first_frame_seconds=number,
            peak_memory_bytes=100 - number,
        )
        result = self.attempts.judge(done, remaining_seconds)
        assert (result.number, result.seed, result.success) == (number, 6 + number, success)
        assert result.is_accepted == (probability is not None and probability >= 0.5)
        return self.attempts.end


def test_a_clip_at_the_threshold_is_accepted_and_nobody_is_asked() -> None:
    tries = Tries()
    assert tries.judge(0.5, remaining_seconds=0.0) is AttemptsEnd.ACCEPTED
    assert tries.attempts.number == tries.attempts.best_number == 1


def test_seeds_grow_by_one_until_the_maximum() -> None:
    tries = Tries(None, None)
    seeds = []
    for _ in range(3):
        seeds.append(tries.attempts.prepared.settings.seed)
        end = tries.judge(0.1)
    assert seeds == [7, 8, 9]
    assert end is AttemptsEnd.MAXIMUM_COUNT
    assert tries.attempts.number == 3
    assert tries.refusals == []


def test_a_further_attempt_needs_the_time_of_the_last_one() -> None:
    tries = Tries(None)
    assert tries.judge(0.1, remaining_seconds=10.0) is None
    assert tries.judge(0.1, remaining_seconds=19.9) is AttemptsEnd.DEADLINE  # the quota was not asked


@pytest.mark.parametrize("end", [AttemptsEnd.QUOTA, AttemptsEnd.DRAINING])
def test_a_further_attempt_may_be_refused(end: AttemptsEnd) -> None:
    assert Tries(end).judge(0.1) is end


def test_a_clip_that_the_engine_does_not_judge_is_not_accepted() -> None:
    tries = Tries(None, None)
    assert [tries.judge(item) for item in (None, 0.0, None)] == [None, None, AttemptsEnd.MAXIMUM_COUNT]
    assert tries.attempts.best_number == 1


def test_the_delivered_clip_is_the_best_with_the_time_of_all() -> None:
    tries = Tries(None, None)
    for probability in (0.2, 0.4, 0.4):
        tries.judge(probability)
    delivered, report = tries.attempts.delivered(), tries.attempts.report(AttemptsEnd.MAXIMUM_COUNT)
    assert delivered.success == SuccessEstimate(0.4, SuccessBasis.MEASURED)
    assert (delivered.work_seconds, delivered.first_frame_seconds, delivered.peak_memory_bytes) == (60.0, 1, 99)
    assert (report.delivered_number, report.end) == (2, AttemptsEnd.MAXIMUM_COUNT)
    assert [item.number for item in report.results] == [1, 2, 3]


STOP = ChainStop(2, fake_match_report("a fox", 32, 32, ()), 50.0)


def test_a_chain_that_was_stopped_is_not_accepted_and_comes_after_complete_ones() -> None:
    attempts = JobAttempts(AttemptPlan(3, 0.5, AttemptFrames.ALL), prepared_chain(), lambda: None)
    clips = [(0.9, STOP), (0.1, None), (0.8, STOP)]
    results = []
    for probability, stop in clips:
        success = SuccessEstimate(probability, SuccessBasis.MEASURED)
        results.append(attempts.judge(replace(chain_done(segment_done(1), stop=stop), success=success), None))
    assert [(item.is_accepted, item.is_complete) for item in results] == [(False, False), (False, True), (False, False)]
    assert attempts.best_number == 2
    assert attempts.end is AttemptsEnd.MAXIMUM_COUNT


def test_an_attempt_of_a_chain_differs_in_the_seeds_of_its_segments() -> None:
    second = prepared_chain().attempt(2)
    assert second.settings.seed == 8
    assert [segment.settings.seed for segment in second.segments] == [8, 9, 10]


def test_an_attempt_differs_in_its_seed_alone() -> None:
    job = prepared(seed=MAX_SEED - 1)
    assert job.attempt(1) == job
    assert job.attempt(2) == replace(job, settings=replace(job.settings, seed=MAX_SEED))
    with pytest.raises(ValueError, match="begin with a smaller seed"):
        job.attempt(3)
