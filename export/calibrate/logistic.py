"""Logistic regression with an L2 penalty and signs that the weights must have, by SciPy's truncated Newton method.

The problem is convex, and strictly so with a penalty. Neither the method nor the products use a BLAS: its threads sum
in another order on another machine, and on a busy one they wait for each other, which made L-BFGS-B ten times as slow.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize

from export.calibrate.statistics import Labels, Signs, Values, sigmoid, smoothed_targets

_BOUNDS = {-1: (None, 0.0), 0: (None, None), 1: (0.0, None)}


@dataclass(frozen=True, eq=False)
class LogisticModel:
    """Log odds: ``offset`` + ``weights`` [figures] · values."""

    offset: float
    weights: Values

    def chances(self, values: Values) -> Values:
        """Probabilities for values [rows, figures]."""
        return sigmoid(self.log_odds(values))

    def log_odds(self, values: Values) -> Values:
        """Log odds for values [rows, figures]."""
        odds: Values = self.offset + values @ self.weights
        return odds


def fit_signed_logistic(
    values: Values, labels: Labels, signs: Signs, penalty: float, start: LogisticModel | None = None
) -> LogisticModel:
    """The model with the least Σ log loss + ½ · penalty · Σ (weight · standard deviation)².

    ``values``: [rows, figures]; ``signs``: 1 for weights that must not be negative, -1 for those that must not be
    positive, 0 for free ones. The offset has no penalty; Platt's smoothed targets keep it finite where one label is
    missing. A figure that does not vary gets the weight 0. ``start``: a model to begin with, to be sooner done.
    """
    centre, spread = values.mean(axis=0), values.std(axis=0)
    varies = spread > 1e-9 * np.maximum(np.abs(centre), 1.0)
    spread = np.where(varies, spread, 1.0)
    design = np.column_stack([np.where(varies, (values - centre) / spread, 0.0), np.ones(len(values))])
    targets, penalties = smoothed_targets(labels), np.append(np.full(values.shape[1], penalty), 0.0)

    def loss_and_gradient(weights: Values) -> tuple[float, Values]:
        logits = np.einsum("rw,w->r", design, weights)
        loss = np.sum(np.logaddexp(0.0, logits) - targets * logits) + penalties @ weights**2 / 2.0
        gradient = np.einsum("rw,r->w", design, sigmoid(logits) - targets)
        return float(loss), gradient + penalties * weights

    first = np.zeros(design.shape[1])
    if start is not None:
        first = np.append(start.weights * spread, start.offset + start.weights @ centre)
    found = minimize(
        loss_and_gradient,
        first,
        jac=True,
        method="TNC",
        bounds=[_BOUNDS[sign] for sign in (*signs.tolist(), 0)],
        options={"maxfun": 5000, "ftol": 1e-9, "gtol": 1e-6, "xtol": 1e-7},
    )
    weights = np.where(varies, found.x[:-1] / spread, 0.0)
    return LogisticModel(float(found.x[-1] - weights @ centre), weights)
