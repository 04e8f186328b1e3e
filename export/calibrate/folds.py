"""Folds for held-out figures: outcomes of one group are never in training and test of the same fold."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from export.errors import ExportError

Folds = NDArray[np.int64]
FOLD_COUNT = 10


def folds_of(groups: Sequence[str], count: int = FOLD_COUNT) -> Folds:
    """The fold of each outcome, 0 to ``count`` - 1, the same at every run; fewer folds for fewer groups.

    Groups are dealt to the folds in a shuffled order, so that each fold has as many groups. Raises ``ExportError`` for
    a single group.
    """
    names, codes = np.unique(np.array(groups), return_inverse=True)
    if len(names) < 2:
        raise ExportError(
            f"all outcomes are of one group, {str(names[0])!r}: nothing can be held out; measure clips of more pairs"
        )
    fold_of_group = np.empty(len(names), np.int64)
    fold_of_group[np.random.default_rng(0).permutation(len(names))] = np.arange(len(names)) % count
    return fold_of_group[codes]
