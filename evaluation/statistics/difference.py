"""Difference of two shares with its interval, and Cohen's h.

Sources: R. Newcombe, "Interval estimation for the difference between independent proportions: comparison of eleven
methods", Statistics in Medicine 17 (1998), method 10; J. Cohen, "Statistical power analysis for the behavioral
sciences" (1988), chapter 6.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from evaluation.statistics.share import Share


@dataclass(frozen=True, slots=True)
class Difference:
    """A difference of two rates with its 95 % interval, each -1..1."""

    value: float
    low: float
    high: float


def difference(first: Share, second: Share) -> Difference:
    """First rate less second, with Newcombe's interval from Wilson's limits. Both shares need at least one clip."""
    (low1, high1), (low2, high2) = first.interval, second.interval
    value = first.rate - second.rate
    below = math.hypot(first.rate - low1, high2 - second.rate)
    above = math.hypot(high1 - first.rate, second.rate - low2)
    return Difference(value, value - below, value + above)


def cohen_h(first: Share, second: Share) -> float:
    """Cohen's h = 2 asin √p1 - 2 asin √p2: 0.2 is a small effect, 0.5 a medium one, 0.8 a large one."""
    return 2.0 * math.asin(math.sqrt(first.rate)) - 2.0 * math.asin(math.sqrt(second.rate))
