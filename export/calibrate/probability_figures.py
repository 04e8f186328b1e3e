"""Figures of probabilities against what happened."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from export.calibrate.folds import Folds
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


def within_arms(values: Values, labels: Labels, arms: Sequence[str], folds: Folds | None = None) -> float | None:
    """Share of comparisons of a good and a failed clip of one arm in which the good one is higher; ties count half.

    Figures of the pair tell arms apart, so that the area over all arms says little about clips of equal pairs. Held-out
    probabilities are compared inside their ``folds``: models of two folds differ by the outcomes that they leave out,
    which would count against both. None without such a comparison.
    """
    names, numbers = np.array(arms), np.zeros(len(labels), int) if folds is None else folds
    compared, higher = 0, 0.0
    for name, number in sorted(set(zip(arms, numbers.tolist(), strict=True))):
        inside = (names == name) & (numbers == number)
        count = int(labels[inside].sum()) * int((~labels[inside]).sum())
        if count:
            compared += count
            higher += count * area_under_curve(values[inside], labels[inside])
    return higher / compared if compared else None


def share(hits: Labels) -> dict[str, Any]:
    """Count, hits, their share and its 95 % interval; the share is None without a count."""
    count, hit_count = len(hits), int(hits.sum())
    return {
        "count": count,
        "hit_count": hit_count,
        "share": hit_count / count if count else None,
        "interval": list(wilson_interval(hit_count, count)),
    }
