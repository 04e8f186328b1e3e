"""The summary of a chain: sums, extremes, and what comes from the first segment."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from engine.api.chain import ChainDrift
from engine.api.events import FrameMatch, JobDone, SegmentDone, Stage
from engine.api.match_report import SuccessBasis, SuccessEstimate
from engine.api.reuse import StepWork
from engine.generate import chain_summary
from engine.generate.chain_summary import chain_done
from engine.matching.chain_review import ChainReview
from tests.chained_jobs import chain_of
from tests.generate.computed_clips import job

JOB = replace(chain_of(job(), ["a fox", "an owl"], 5), warnings=("soft",))
REPORTS: tuple[Any, Any] = ("the first report", "the second report")
FIRST = JobDone(
    stage_seconds={Stage.ENCODE_TEXT: 1.0, Stage.DENOISE: 4.0},
    work_seconds=6.0,
    first_frame_seconds=5.0,
    peak_memory_bytes=100,
    first_frame_psnr_db=40.0,
    match_report=REPORTS[0],
    warnings=(),
    frame_matches=(FrameMatch(0, 80.0), FrameMatch(8, 70.0)),
    success=SuccessEstimate(0.75, SuccessBasis.MEASURED),
    step_counts={StepWork.FULL: 3, StepWork.REUSED: 1},
)
SECOND = replace(
    FIRST,
    stage_seconds={Stage.DENOISE: 5.0, Stage.DECODE: 0.5},
    work_seconds=7.0,
    first_frame_seconds=6.0,
    peak_memory_bytes=200,
    first_frame_psnr_db=30.0,
    match_report=REPORTS[1],
    frame_matches=(FrameMatch(9, 60.0),),
    success=SuccessEstimate(0.5, SuccessBasis.MEASURED),
    step_counts={StepWork.FULL: 4},
)


def summary(*parts: JobDone, monkeypatch: pytest.MonkeyPatch) -> JobDone:
    diagnosis: Any = "the diagnosis"
    monkeypatch.setattr(chain_summary, "review_chain", lambda *_: ChainReview(ChainDrift(None, None), diagnosis))
    segments = [SegmentDone(number, 0, 9, part) for number, part in enumerate(parts, start=1)]
    return chain_done(JOB, segments, None, None)


def test_the_parts_are_put_together(monkeypatch: pytest.MonkeyPatch) -> None:
    done = summary(FIRST, SECOND, monkeypatch=monkeypatch)
    assert done == JobDone(
        stage_seconds={Stage.ENCODE_TEXT: 1.0, Stage.DENOISE: 9.0, Stage.DECODE: 0.5},
        work_seconds=13.0,
        first_frame_seconds=5.0,
        peak_memory_bytes=200,
        first_frame_psnr_db=40.0,
        match_report=REPORTS[0],
        warnings=("soft",),
        frame_matches=(FrameMatch(0, 80.0), FrameMatch(8, 70.0), FrameMatch(9, 60.0)),
        diagnosis="the diagnosis",  # type: ignore[arg-type]
        success=SECOND.success,
        step_counts={StepWork.FULL: 7, StepWork.REUSED: 1},
        chain=done.chain,
    )
    assert done.chain is not None
    assert [segment.done for segment in done.chain.segments] == [FIRST, SECOND]


@pytest.mark.parametrize(("chances", "lowest"), [((0.25, 0.5), 0.25), ((0.5, None), 0.5), ((None, None), None)])
def test_the_success_is_the_lowest(
    chances: tuple[float | None, ...], lowest: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    estimates = [None if chance is None else SuccessEstimate(chance, SuccessBasis.MEASURED) for chance in chances]
    done = summary(*(replace(FIRST, success=item) for item in estimates), monkeypatch=monkeypatch)
    assert (done.success.probability if done.success is not None else None) == lowest
