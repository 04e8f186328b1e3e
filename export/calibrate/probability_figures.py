"""Figures of probabilities against what happened."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from export.calibrate.statistics import (
    Labels,
    Values,
    area_under_curve,
    brier_score,
    expected_calibration_error,
    reliability,
    wilson_interval,
)


def probability_figures(chances: Values, labels: Labels) -> dict[str, Any]:
    """Brier score, calibration error, area under curve, and the bins of the calibration."""
    return {
        "brier_score": brier_score(chances, labels),
        "calibration_error": expected_calibration_error(chances, labels),
        "area_under_curve": area_under_curve(chances, labels),
        "reliability": [asdict(item) for item in reliability(chances, labels)],
    }


def within_arms(values: Values, labels: Labels, arms: Sequence[str]) -> float | None:
    """Mean area under curve over the arms that have both labels; None without such an arm.

    Figures of the pair tell arms apart, so that the area over all arms says little about clips of equal pairs.
    """
    names = np.array(arms)
    areas = [
        area_under_curve(values[inside], labels[inside])
        for inside in (names == name for name in sorted(set(arms)))
        if labels[inside].any() and not labels[inside].all()
    ]
    return float(np.mean(areas)) if areas else None


def share(hits: Labels) -> dict[str, Any]:
    """Count, hits, their share and its 95 % interval; the share is None without a count."""
    count, hit_count = len(hits), int(hits.sum())
    return {
        "count": count,
        "hit_count": hit_count,
        "share": hit_count / count if count else None,
        "interval": list(wilson_interval(hit_count, count)),
    }
