"""Fits and measures of probabilities and shares, in numpy.

Sources: J. Platt, "Probabilistic outputs for support vector machines" (1999), for the smoothed targets;
M. Naeini et al., "Obtaining well calibrated probabilities using Bayesian binning" (2015), for the calibration error.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]
Labels = NDArray[np.bool_]
Signs = NDArray[np.int64]  # -1, 0 or 1
BIN_COUNT = 10
_LARGEST_EXPONENT = 60.0


@dataclass(frozen=True)
class Bin:
    """Probabilities of one interval: their count, their mean, and the share of positive labels."""

    count: int
    predicted: float
    observed: float


def sigmoid(values: Values) -> Values:
    """1 / (1 + e^-x) without overflow."""
    result: Values = 1.0 / (1.0 + np.exp(-np.clip(values, -_LARGEST_EXPONENT, _LARGEST_EXPONENT)))
    return result


def smoothed_targets(labels: Labels) -> Values:
    """Platt's targets in place of 1 and 0: (n + 1) / (n + 2) for n positive labels, 1 / (n + 2) for n negative ones."""
    positive, negative = int(labels.sum()), int((~labels).sum())
    targets: Values = np.where(labels, (positive + 1) / (positive + 2), 1 / (negative + 2))
    return targets


def area_under_curve(scores: Values, labels: Labels) -> float:
    """Share of pairs of a positive and a negative in which the positive scores higher; ties count half."""
    positive, negative = np.sort(scores[labels]), np.sort(scores[~labels])
    below = np.searchsorted(negative, positive, "left")
    level = np.searchsorted(negative, positive, "right") - below
    return float((below + 0.5 * level).sum() / (len(positive) * len(negative)))


def brier_score(chances: Values, labels: Labels) -> float:
    """Mean squared error of probabilities."""
    return float(np.mean((chances - labels) ** 2))


def reliability(chances: Values, labels: Labels) -> list[Bin]:
    """The non-empty bins among ten of equal width over 0..1."""
    indices = np.minimum((chances * BIN_COUNT).astype(int), BIN_COUNT - 1)
    return [
        Bin(int(inside.sum()), float(chances[inside].mean()), float(labels[inside].mean()))
        for inside in (indices == index for index in range(BIN_COUNT))
        if inside.any()
    ]


def expected_calibration_error(chances: Values, labels: Labels) -> float:
    """Mean distance of predicted and observed over the bins, weighted by their counts."""
    return sum(item.count * abs(item.predicted - item.observed) for item in reliability(chances, labels)) / len(labels)


def wilson_interval(hit_count: int, count: int, interval_count: int = 1) -> tuple[float, float]:
    """The 95 % score interval (low, high) of a share (E. B. Wilson, 1927); (0, 1) for a count of 0.

    With ``interval_count`` above 1 all of that many intervals hold together in 95 % (Bonferroni).
    """
    if not count:
        return 0.0, 1.0
    quantile = NormalDist().inv_cdf(1.0 - 0.025 / interval_count)
    z2 = quantile**2
    centre = (hit_count + z2 / 2) / (count + z2)
    half = quantile / (count + z2) * math.sqrt(hit_count * (count - hit_count) / count + z2 / 4)
    # At the ends the bounds are 0 and 1 exactly, which rounding misses.
    return (0.0 if hit_count == 0 else centre - half), (1.0 if hit_count == count else centre + half)
