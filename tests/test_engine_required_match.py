"""The match score of a job: a required score refuses before other work, and without a match no scorer runs."""

from __future__ import annotations

import pytest

from engine.api.errors import MatchRefused
from engine.api.events import Stage, StageStarted
from engine.api.job import MatchMode, MatchPolicy
from engine.api.match_report import MatchReport
from tests.recorded_engine import ALL_CALLS, RecordedEngine, advance_to, summary_of


def test_a_match_below_the_required_score_is_refused_before_any_other_work(recorded: RecordedEngine) -> None:
    events = recorded.start(recorded.prepare(match=MatchPolicy(MatchMode.REQUIRE, minimum_score=100.0)))
    report = advance_to(MatchReport, events)
    assert isinstance(report, MatchReport)
    with pytest.raises(MatchRefused) as refused:
        next(events)
    assert (refused.value.score, refused.value.minimum_score) == (report.score, 100.0)
    assert recorded.runtime.calls == ["scorer_image", "scorer_text"]


def test_a_match_at_the_required_score_is_generated(recorded: RecordedEngine) -> None:
    report = summary_of(recorded.run(recorded.prepare())).match_report
    assert report is not None
    match = MatchPolicy(MatchMode.REQUIRE, minimum_score=report.score)
    assert summary_of(recorded.run(recorded.prepare(match=match))).match_report == report


def test_a_job_without_a_match_calls_no_scorer(recorded: RecordedEngine) -> None:
    events = recorded.run(recorded.prepare(match=MatchPolicy(MatchMode.OFF)))
    assert recorded.runtime.calls == ALL_CALLS[2:]
    assert StageStarted(Stage.MATCH) not in events
    assert summary_of(events).match_report is None
    assert set(summary_of(events).stage_seconds) == set(Stage) - {Stage.MATCH}
