"""A match score from numbers. Pure arithmetic: knows no picture, no sentence and no graph."""

from __future__ import annotations

import math

from engine.types import MatchBasis, MatchReport, MatchVerdict

GOOD_SCORE = 70.0
DOUBTFUL_SCORE = 40.0


def verdict_of(score: float) -> MatchVerdict:
    """A score, 0..100, in words."""
    if score >= GOOD_SCORE:
        return MatchVerdict.GOOD
    return MatchVerdict.DOUBTFUL if score >= DOUBTFUL_SCORE else MatchVerdict.POOR


def report_of(similarity: float, contrast: float, slope: float, offset: float, is_calibrated: bool) -> MatchReport:
    """The report on a cosine and a contrast; the score is 100 · sigmoid(slope · contrast + offset)."""
    exponent = min(max(slope * contrast + offset, -60.0), 60.0)
    score = 100.0 / (1.0 + math.exp(-exponent))
    basis = MatchBasis.CALIBRATED if is_calibrated else MatchBasis.UNCALIBRATED
    return MatchReport(score, verdict_of(score), similarity, contrast, basis)
