"""Chances of success of clips by fits that did not see their pairs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from evaluation.record import ClipRecord
from export.calibrate.statistics import sigmoid

_FOLDS = 5


def held_out_chances(clips: Sequence[ClipRecord], labels: Sequence[bool], names: Sequence[str]) -> NDArray[np.float64]:
    """The chance of each clip by the figures ``names``, fitted on the clips of other pairs [clips]."""
    figures = np.array([[{**c.pair_factors, **c.clip_factors}[n] for n in names] for c in clips], np.float64)
    goals = np.array(labels, np.float64)
    _, groups = np.unique([c.pair for c in clips], return_inverse=True)
    folds = np.random.default_rng(0).permutation(groups.max() + 1)[groups] % _FOLDS
    chances = np.zeros(len(clips))
    for fold in range(_FOLDS):
        seen = folds != fold
        mean, spread = figures[seen].mean(0), figures[seen].std(0)
        spread[spread == 0] = 1.0
        design = np.hstack([(figures - mean) / spread, np.ones((len(clips), 1))])
        weights = np.zeros(design.shape[1])
        for _ in range(50):
            p = sigmoid(design[seen] @ weights)
            gradient = design[seen].T @ (p - goals[seen]) + 0.1 * weights
            hessian = design[seen].T @ (design[seen] * (p * (1 - p))[:, None]) + 0.1 * np.eye(len(weights))
            weights -= np.linalg.solve(hessian, gradient)
        chances[~seen] = sigmoid(design[~seen] @ weights)
    return chances
