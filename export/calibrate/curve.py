"""A curve from the log odds of a fit to log odds that agree with held-out outcomes."""

from __future__ import annotations

import itertools

import numpy as np

from export.calibrate.logistic import fit_signed_logistic
from export.calibrate.statistics import Labels, Values

Curve = tuple[tuple[float, float], ...]
_KNOTS = (0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 1.0)  # quantiles of the log odds
_LEAST_SLOPE = 0.1  # a mended fault always raises the chance
_PENALTY = 1.0


def fit_curve(log_odds: Values, labels: Labels) -> Curve:
    """The most likely ascending curve of straight lines between quantiles of held-out log odds.

    A sum of parts fits outcomes that few rare exceptions contradict with too small weights: what is nearly sure then
    looks less sure. The curve stretches the log odds where held-out outcomes say so. Without two different quantiles
    there is none.
    """
    knots = np.unique(np.quantile(log_odds, _KNOTS))
    if len(knots) < 2:
        return ()
    lengths = np.diff(knots)
    ramps = np.column_stack(
        [np.clip(log_odds, low, high) - low for low, high in itertools.pairwise(knots)]
    )  # [outcomes, lines]
    model = fit_signed_logistic(ramps, labels, np.ones(len(lengths), np.int64), _PENALTY)
    heights = model.offset + np.append(0.0, np.cumsum(np.maximum(model.weights, _LEAST_SLOPE) * lengths))
    return tuple(zip(knots.tolist(), heights.tolist(), strict=True))


def along(log_odds: Values, curve: Curve) -> Values:
    """Log odds after a curve, as ``engine.matching.success.curved`` computes them."""
    if not curve:
        return log_odds
    before, after = zip(*curve, strict=True)
    moved: Values = np.interp(log_odds, before, after)
    return moved
