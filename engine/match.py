"""A match score from numbers. Pure arithmetic: knows no picture, no sentence and no graph."""

from __future__ import annotations

import math

from engine.prompting import ClauseKind
from engine.types import MatchBasis, MatchReport, MatchVerdict, SuccessBasis, SuccessEstimate

# What a kind of clause counts in the score; camera and style cannot be seen in a still picture.
WEIGHTS = {ClauseKind.SUBJECT: 0.5, ClauseKind.ACTION: 0.3, ClauseKind.ENVIRONMENT: 0.2}
GOOD_SCORE = 70.0
DOUBTFUL_SCORE = 40.0


def verdict_of(score: float) -> MatchVerdict:
    """A score, 0..100, in words."""
    if score >= GOOD_SCORE:
        return MatchVerdict.GOOD
    return MatchVerdict.DOUBTFUL if score >= DOUBTFUL_SCORE else MatchVerdict.POOR


def success_prior(score: float) -> SuccessEstimate:
    """How likely a clip succeeds, from the two published figures P(80) = 0.95 and P(20) = 0.65.

    The line through both in log odds: logit P = -0.156 + 3.876 · score / 100.
    """
    probability = 1.0 / (1.0 + math.exp(0.156 - 3.876 * score / 100.0))
    return SuccessEstimate(probability, SuccessBasis.ARTICLE_PRIOR)


def report_of(similarity: float, contrast: float, slope: float, offset: float, is_calibrated: bool) -> MatchReport:
    """The report on a cosine and a contrast; the score is 100 · sigmoid(slope · contrast + offset)."""
    exponent = min(max(slope * contrast + offset, -60.0), 60.0)
    score = 100.0 / (1.0 + math.exp(-exponent))
    basis = MatchBasis.CALIBRATED if is_calibrated else MatchBasis.UNCALIBRATED
    return MatchReport(score, verdict_of(score), similarity, contrast, basis, success=success_prior(score))
