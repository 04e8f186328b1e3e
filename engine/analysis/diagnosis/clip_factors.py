"""Figures of a finished clip that tell whether it came out well, without knowing what it should look like."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from engine.api.diagnosis import ClipMetrics

CLEAN_PSNR_DB = 40.0
_HIGHEST_ODDS = 7.0

FLAWLESS: Mapping[str, float] = {
    "subject_consistency": 1.0,
    "background_consistency": 1.0,
    "subject_drift": 0.0,
    "new_content": 0.0,
    "dynamic_degree": 1.0,
    "motion_speed": 0.0,
    "mean_change": 0.0,
    "largest_change": 0.0,
    "burnt_gain": 0.0,
    "edge_gain": 0.0,
    "saturation_gain": 0.0,
    "first_score": 1.0,
    "last_score": 1.0,
    "last_odds": _HIGHEST_ODDS,
    "lowest_score": 1.0,
    "first_frame_noise": 0.0,
}


def clip_factors(metrics: ClipMetrics, frame_scores: Sequence[float], first_frame_psnr_db: float) -> dict[str, float]:
    """The figures of a clip, by name, in the order of ``FLAWLESS``.

    The first eleven are those of ``ClipMetrics``; ``mean_change`` is 1 - temporal flicker. ``first_score``,
    ``last_score`` and ``lowest_score``: match scores of sampled frames, 0..1. ``last_odds``: the log odds of the last
    score, -7 to 7, because scores near 1 differ in their odds. ``first_frame_noise``: how far the first frame's PSNR
    against the picture lies below 40 dB, in 10 dB. Without a scorer the figures that need one are those of
    ``FLAWLESS``.
    """
    likeness = metrics.likeness
    background = likeness.background_consistency if likeness is not None else None
    scores = [score / 100.0 for score in frame_scores] or [1.0]
    return {
        "subject_consistency": 1.0 if likeness is None else likeness.subject_consistency,
        "background_consistency": 1.0 if background is None else background,
        "subject_drift": 0.0 if likeness is None else likeness.subject_drift,
        "new_content": 0.0 if likeness is None else likeness.new_content,
        "dynamic_degree": metrics.dynamic_degree,
        "motion_speed": metrics.motion_speed,
        "mean_change": 1.0 - metrics.temporal_flicker,
        "largest_change": metrics.largest_change,
        "burnt_gain": metrics.burnt_gain,
        "edge_gain": metrics.edge_gain,
        "saturation_gain": metrics.saturation_gain,
        "first_score": scores[0],
        "last_score": scores[-1],
        "last_odds": _log_odds(scores[-1]),
        "lowest_score": min(scores),
        "first_frame_noise": max(CLEAN_PSNR_DB - first_frame_psnr_db, 0.0) / 10.0,
    }


def _log_odds(probability: float) -> float:
    """The natural logarithm of the odds, within ``_HIGHEST_ODDS`` to either side."""
    least = 1.0 / (1.0 + math.exp(_HIGHEST_ODDS))
    inside = min(max(probability, least), 1.0 - least)
    return math.log(inside / (1.0 - inside))
