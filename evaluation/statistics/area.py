"""Area under the curve of a figure for success, with an interval that knows that clips of one pair belong together.

The interval is the percentile bootstrap over pairs: whole pairs are drawn with replacement, because clips of the same
picture and sentence succeed and fail together (C. Field and A. Welsh, "Bootstrapping clustered data", Journal of the
Royal Statistical Society B 69, 2007). The draws are those of a fixed seed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_DRAW_COUNT = 1000
_SEED = 0
_LOW_PERCENT, _HIGH_PERCENT = 2.5, 97.5


@dataclass(frozen=True, slots=True)
class Area:
    """The probability that a successful clip has the higher figure than a failed one, with its 95 % interval."""

    value: float
    low: float
    high: float


class Clusters:
    """Labels, pairs and arms of clips, for areas of many figures.

    ``groups`` [clips] names each clip's pair; ``strata`` [clips] its arm.
    """

    def __init__(self, labels: Sequence[bool], groups: Sequence[str], strata: Sequence[str]) -> None:
        self._labels = np.array(labels, bool)
        self._strata = np.array(strata)
        names, self._groups = np.unique(np.array(groups), return_inverse=True)
        self._group_count = len(names)
        draws = np.random.default_rng(_SEED).integers(0, max(len(names), 1), (_DRAW_COUNT, len(names)))
        # [draws + 1, pairs]: how often each pair was drawn; the first row takes each pair once
        self._weights = np.ones((_DRAW_COUNT + 1, len(names)))
        for row, drawn in enumerate(draws, 1):
            self._weights[row] = np.bincount(drawn, minlength=len(names))

    def area(self, figures: Sequence[float]) -> Area | None:
        """The area over all clips; None if all succeeded or all failed."""
        return self._area(figures, [np.ones(len(self._labels), bool)])

    def area_within(self, figures: Sequence[float]) -> Area | None:
        """The area if only clips of the same arm are compared; None if no arm has both outcomes."""
        return self._area(figures, [self._strata == name for name in np.unique(self._strata)])

    def _area(self, figures: Sequence[float], strata: Sequence[NDArray[np.bool_]]) -> Area | None:
        values = np.array(figures, np.float64)
        # [pairs, pairs]: comparisons of a success of one and a failure of the other, and those that the success leads
        wins, comparisons = np.zeros((2, self._group_count, self._group_count))
        for chosen in strata:
            positive, negative = chosen & self._labels, chosen & ~self._labels
            comparisons += np.outer(self._counts(positive), self._counts(negative))
            self._add_wins(wins, values, positive, negative)
        won, total = (((self._weights @ matrix) * self._weights).sum(1) for matrix in (wins, comparisons))
        if not total[0]:
            return None
        areas = won[total > 0] / total[total > 0]  # a draw can lack an outcome
        low, high = np.percentile(areas, (_LOW_PERCENT, _HIGH_PERCENT))
        return Area(float(areas[0]), float(low), float(high))

    def _add_wins(
        self,
        wins: NDArray[np.float64],
        values: NDArray[np.float64],
        positive: NDArray[np.bool_],
        negative: NDArray[np.bool_],
    ) -> None:
        """Adds to ``wins`` how often a success has the higher value; ties count half."""
        failures, their_groups = values[negative], self._groups[negative]
        for group in np.unique(self._groups[positive]):
            successes = np.sort(values[positive & (self._groups == group)])
            level_or_below = np.searchsorted(successes, failures, "right")
            level = level_or_below - np.searchsorted(successes, failures, "left")
            above = len(successes) - level_or_below
            wins[group] += np.bincount(their_groups, above + 0.5 * level, self._group_count)

    def _counts(self, chosen: NDArray[np.bool_]) -> NDArray[np.float64]:
        return np.bincount(self._groups[chosen], minlength=self._group_count).astype(np.float64)
