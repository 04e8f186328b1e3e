"""The fake engine's match report, number by number."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest

from engine.api.match_report import CropProposal, MatchBasis, MatchVerdict, SuccessBasis
from engine.api.media import Box, Image
from engine.api.prompt_report import ClauseKind
from engine.matching.success import prior_chance
from engine.testing.fake_engine import FakeEngine


def test_the_report_can_be_computed_by_hand(png: Callable[..., bytes]) -> None:
    prompt = "A white cat jumps. The light fades. Camera pans left."
    report = FakeEngine().score_match(Image(png(80, 40)), prompt)
    assert (report.score, report.verdict, report.basis) == (100.0, MatchVerdict.GOOD, MatchBasis.UNCALIBRATED)
    kinds = [(clause.kind, prompt[clause.span.start : clause.span.end], clause.weight) for clause in report.clauses]
    assert kinds == [
        (ClauseKind.SUBJECT, "A white cat", 0.5),
        (ClauseKind.ACTION, "jumps", 0.3),
        (ClauseKind.ENVIRONMENT, "The light fades", 0.2),
        (ClauseKind.CAMERA, "Camera pans left", 0.0),
    ]
    assert [clause.probability for clause in report.clauses] == [1.0, 1.0, 1.0, None]
    assert report.plausibility == 1.0
    assert report.success is not None
    assert report.success.basis is SuccessBasis.ARTICLE_PRIOR
    assert report.success.probability == pytest.approx(1 / (1 + math.exp(0.156 - 3.876)))
    assert report.grounding is not None
    assert report.grounding.box == Box(20, 10, 40, 20)
    assert (report.grounding.coverage, report.grounding.strict_coverage) == (0.5, 0.25)
    assert report.missing_nouns == ()
    assert report.crops == (
        CropProposal(32, 32, Box(20, 0, 40, 40), 0.8, 1.0, 1.0, 0.5),
        CropProposal(48, 32, Box(10, 0, 60, 40), 0.8, 1.0, 40 / 60, 800 / 2400),
    )


@pytest.mark.parametrize(("prompt", "noun"), [("A dolphin leaps over the car", "dolphin"), ("海豚跃过汽车", "海豚")])
def test_a_dolphin_is_never_there(prompt: str, noun: str, png: Callable[..., bytes]) -> None:
    report = FakeEngine().score_match(Image(png(8, 8)), prompt)
    assert [prompt[item.span.start : item.span.end] for item in report.missing_nouns] == [noun]


def test_no_action_no_plausibility(png: Callable[..., bytes]) -> None:
    assert FakeEngine().score_match(Image(png(8, 8)), "A white cat").plausibility is None


@pytest.mark.parametrize(("score", "expected"), [(80.0, 0.95), (20.0, 0.65)])
def test_the_prior_goes_through_both_published_figures(score: float, expected: float) -> None:
    assert prior_chance({"score": score / 100}) == pytest.approx(expected, abs=5e-4)
