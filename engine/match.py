"""A match score from numbers. Pure arithmetic: knows no picture, no sentence and no graph.

p(clause) = sigmoid(slope · m + offset); the soft gate multiplies an action's by its subject's; the score is
100 · exp(Σ w · ln p / Σ w). Sources and reasons: docs/scoring.md.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from engine.prompting import ClauseKind
from engine.types import ClauseScore, MatchBasis, MatchReport, MatchVerdict, SuccessBasis, SuccessEstimate

# What a kind of clause counts in the score; camera and style cannot be seen in a still picture.
WEIGHTS = {ClauseKind.SUBJECT: 0.5, ClauseKind.ACTION: 0.3, ClauseKind.ENVIRONMENT: 0.2}
GOOD_SCORE = 70.0
DOUBTFUL_SCORE = 40.0
_LOWEST_PROBABILITY = 1e-4  # keeps one hopeless clause from making all others count for nothing


def verdict_of(score: float, good_score: float = GOOD_SCORE, doubtful_score: float = DOUBTFUL_SCORE) -> MatchVerdict:
    """A score, 0..100, in words."""
    if score >= good_score:
        return MatchVerdict.GOOD
    return MatchVerdict.DOUBTFUL if score >= doubtful_score else MatchVerdict.POOR


def logistic(margin: float, slope: float, offset: float) -> float:
    """sigmoid(slope · margin + offset), 0..1, for any finite margin."""
    return 1.0 / (1.0 + math.exp(-min(max(slope * margin + offset, -60.0), 60.0)))


def combined_score(clauses: Sequence[ClauseScore]) -> float:
    """The score of clauses, 0..100: their geometric mean by weight. At least one must be judged."""
    judged = [(clause.weight, clause.gated_probability) for clause in clauses if clause.gated_probability is not None]
    total = sum(weight for weight, _ in judged)
    logs = sum(weight * math.log(max(probability, _LOWEST_PROBABILITY)) for weight, probability in judged)
    return 100.0 * math.exp(logs / total)


def success_prior(score: float) -> SuccessEstimate:
    """How likely a clip succeeds, from the two published figures P(80) = 0.95 and P(20) = 0.65.

    The line through both in log odds: logit P = -0.156 + 3.876 · score / 100.
    """
    return SuccessEstimate(logistic(score / 100.0, 3.876, -0.156), SuccessBasis.ARTICLE_PRIOR)


def report_of(similarity: float, contrast: float, slope: float, offset: float, is_calibrated: bool) -> MatchReport:
    """The report on a sentence as a whole; the score is 100 · sigmoid(slope · contrast + offset)."""
    score = 100.0 * logistic(contrast, slope, offset)
    basis = MatchBasis.CALIBRATED if is_calibrated else MatchBasis.UNCALIBRATED
    return MatchReport(score, verdict_of(score), similarity, contrast, basis, success=success_prior(score))
