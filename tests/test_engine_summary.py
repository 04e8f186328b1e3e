"""The summary at the end of a job: seconds by stage, memory, fidelity, warnings, and the review of the frames."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from engine.api.events import JobDone, Stage
from engine.generate.decoding import MAX_PSNR_DB, psnr_db
from tests.recorded_engine import RecordedEngine, frames_of, summary_of


def test_the_summary_accounts_for_every_stage(recorded: RecordedEngine) -> None:
    events = recorded.run(recorded.prepare())
    done = summary_of(events)
    assert set(done.stage_seconds) == set(Stage)
    assert min(done.stage_seconds.values()) > 0
    assert sum(done.stage_seconds.values()) <= done.work_seconds
    before_decode = sum(seconds for stage, seconds in done.stage_seconds.items() if stage is not Stage.DECODE)
    assert before_decode < done.first_frame_seconds < done.work_seconds
    assert done.peak_memory_bytes == recorded.runtime.peak_memory_bytes()
    assert done.match_report is events[1]


def test_a_clip_is_reviewed_after_its_last_frame(recorded: RecordedEngine) -> None:
    done = recorded.run(recorded.prepare())[-1]
    assert isinstance(done, JobDone)
    report = done.match_report
    assert report is not None
    assert report.prompt_report is not None
    assert report.picture_report is not None
    assert report.crops == ()  # the picture is cut already
    assert [match.frame_index for match in done.frame_matches] == [0, 1, 2, 3, 5, 6, 7, 8]
    assert all(0.0 <= match.score <= 100.0 for match in done.frame_matches)
    assert done.diagnosis is not None
    likeness = done.diagnosis.metrics.likeness
    assert likeness is not None
    assert 0.0 <= likeness.subject_consistency <= 1.0


def test_the_summary_tells_how_true_the_first_frame_is_to_the_picture(recorded: RecordedEngine) -> None:
    job = recorded.prepare()
    events = recorded.run(job)
    difference = frames_of(events)[0].astype(float) - job.picture
    by_hand = 20 * np.log10(255) - 10 * np.log10(np.mean(difference**2))
    assert summary_of(events).first_frame_psnr_db == pytest.approx(by_hand, abs=1e-9)


def test_two_equal_pictures_have_the_highest_fidelity() -> None:
    black, grey = np.zeros((4, 4, 3), np.uint8), np.full((4, 4, 3), 255, np.uint8)
    assert psnr_db(black, black) == MAX_PSNR_DB
    assert psnr_db(grey, black) == 0.0


def test_warnings_of_the_preparation_reach_the_summary(tiny_bundle: Path, png: Callable[..., bytes]) -> None:
    recorded = RecordedEngine(tiny_bundle, png(20, 15))
    job = recorded.prepare()
    assert "expect a soft clip" in job.warnings[0]
    assert summary_of(recorded.run(job)).warnings == job.warnings
