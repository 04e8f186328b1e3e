"""Computes the match score from margins and probabilities.

p(clause) = sigmoid(slope · m + offset); the soft gate multiplies an action's p by that of its subject; the score is 100
· exp(Σ w · ln p / Σ w), at most the limit that the sentence's gaps set. Sources and reasons: docs/scoring.md.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import replace

from engine.analysis.prompt.gaps import Gap
from engine.api.job import PictureFit, PreparedJob
from engine.api.match_report import ClauseScore, MatchBasis, MatchReport, MatchVerdict
from engine.api.media import Box
from engine.api.prompt_report import ClauseKind

# What a kind of clause counts in the score; camera and style cannot be seen in a still picture.
WEIGHTS = {ClauseKind.SUBJECT: 0.5, ClauseKind.ACTION: 0.3, ClauseKind.ENVIRONMENT: 0.2}
GOOD_SCORE = 70.0
DOUBTFUL_SCORE = 40.0
_LOWEST_PROBABILITY = 1e-4  # keeps one hopeless clause from making all others count for nothing


def verdict_of(score: float, good_score: float = GOOD_SCORE, doubtful_score: float = DOUBTFUL_SCORE) -> MatchVerdict:
    """The verdict of a score, 0..100."""
    if score >= good_score:
        return MatchVerdict.GOOD
    return MatchVerdict.DOUBTFUL if score >= doubtful_score else MatchVerdict.POOR


def logistic(margin: float, slope: float, offset: float) -> float:
    """sigmoid(slope · margin + offset), 0..1, for any finite margin."""
    return 1.0 / (1.0 + math.exp(-min(max(slope * margin + offset, -60.0), 60.0)))


def combined_score(clauses: Sequence[ClauseScore]) -> float:
    """The score of clauses, 0..100: their weighted geometric mean. At least one clause must be judged."""
    judged = [(clause.weight, clause.gated_probability) for clause in clauses if clause.gated_probability is not None]
    total = sum(weight for weight, _ in judged)
    logs = sum(weight * math.log(max(probability, _LOWEST_PROBABILITY)) for weight, probability in judged)
    return 100.0 * math.exp(logs / total)


def score_limit(gaps: Collection[Gap], good_score: float = GOOD_SCORE, doubtful_score: float = DOUBTFUL_SCORE) -> float:
    """The highest score of a sentence: without a subject a poor one, without a clear motion a doubtful one."""
    if Gap.SUBJECT in gaps:
        return doubtful_score / 2.0
    return (good_score + doubtful_score) / 2.0 if Gap.MOTION in gaps else 100.0


def report_of(
    similarity: float, contrast: float, slope: float, offset: float, *, is_calibrated: bool, limit: float = 100.0
) -> MatchReport:
    """The report on a prompt as a whole, without clauses. The score is 100 · sigmoid(slope · contrast + offset)."""
    score = min(100.0 * logistic(contrast, slope, offset), limit)
    basis = MatchBasis.CALIBRATED if is_calibrated else MatchBasis.UNCALIBRATED
    return MatchReport(score, verdict_of(score), similarity, contrast, basis)


def in_file(report: MatchReport, job: PreparedJob) -> MatchReport:
    """Converts the boxes of a report from pixels of a job's prepared picture to pixels of the picture file.

    Drops the crop proposals, because the picture is already cropped.
    """
    grounding = report.grounding
    if grounding is None or grounding.box is None:
        return replace(report, crops=())
    crop, settings = job.settings.crop, job.settings
    scale_x, scale_y = crop.width_px / settings.width_px, crop.height_px / settings.height_px
    left, top = crop.left_px, crop.top_px
    if settings.picture_fit is PictureFit.PAD:  # one scale, and bars of equal width on both sides
        scale_x = scale_y = max(scale_x, scale_y)
        left = round((crop.width_px - settings.width_px * scale_x) / 2)
        top = round((crop.height_px - settings.height_px * scale_y) / 2)
    box = _clamped(
        left + grounding.box.left_px * scale_x,
        top + grounding.box.top_px * scale_y,
        left + (grounding.box.left_px + grounding.box.width_px) * scale_x,
        top + (grounding.box.top_px + grounding.box.height_px) * scale_y,
        crop,
    )
    return replace(report, grounding=replace(grounding, box=box), crops=())


def _clamped(left: float, top: float, right: float, bottom: float, bounds: Box) -> Box:
    first_x, last_x = bounds.left_px, bounds.left_px + bounds.width_px
    first_y, last_y = bounds.top_px, bounds.top_px + bounds.height_px
    x, y = min(max(round(left), first_x), last_x - 1), min(max(round(top), first_y), last_y - 1)
    return Box(x, y, max(min(round(right), last_x) - x, 1), max(min(round(bottom), last_y) - y, 1))
