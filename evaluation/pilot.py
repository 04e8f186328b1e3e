"""``python -m evaluation.pilot --from 0.95 --to 0.65 [--power 0.9]``: how many clips tell two success rates apart.

The test is the two-sided z test of two proportions with a pooled variance (the chi-squared test without continuity
correction), with equally many clips in both arms. Source of the formulas: Fleiss, Levin and Paik, Statistical Methods
for Rates and Proportions, 3rd edition (2003), chapter 4.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Iterator, Sequence
from statistics import NormalDist

import numpy as np
from scipy.optimize import brentq
from scipy.stats import binom

ALPHA = 0.05
POWER = 0.9

_NORMAL = NormalDist()
_TABLE_COUNTS = (25, 50, 100, 200, 400)
_MOST_FOR_EXACT_POWER = 2000  # every pair of counts takes too much memory beyond, and the approximation is close


def clips_per_arm(first: float, second: float, *, power: float = POWER, alpha: float = ALPHA) -> int:
    """Clips in each arm with which the test finds a true difference of two rates with probability ``power``.

    Raises ``ValueError`` for a rate, power or alpha that is not between 0 and 1, and for equal rates.
    """
    return math.ceil(_clips(first, second, power, alpha))


def clips_per_arm_corrected(first: float, second: float, *, power: float = POWER, alpha: float = ALPHA) -> int:
    """Like ``clips_per_arm``, for the test with continuity correction, which is nearly Fisher's exact test."""
    clips = _clips(first, second, power, alpha)
    return math.ceil(clips / 4.0 * (1.0 + math.sqrt(1.0 + 4.0 / (clips * abs(first - second)))) ** 2)


def power_of(first: float, second: float, clip_count: int, *, alpha: float = ALPHA) -> float:
    """Probability that the test with ``clip_count`` clips an arm finds the difference, in the normal approximation."""
    null, alternative = _deviations(first, second)
    distance = abs(first - second) * math.sqrt(clip_count)
    return _NORMAL.cdf((distance - _NORMAL.inv_cdf(1.0 - alpha / 2.0) * null) / alternative)


def exact_power(first: float, second: float, clip_count: int, *, alpha: float = ALPHA) -> float:
    """Probability that the test rejects equal rates, summed over every pair of counts of successes."""
    successes = np.arange(clip_count + 1)
    pooled = (successes[:, None] + successes[None, :]) / (2.0 * clip_count)
    deviation = np.sqrt(2.0 * pooled * (1.0 - pooled) / clip_count)
    difference = np.abs(successes[:, None] - successes[None, :]) / clip_count
    rejects = difference > _NORMAL.inv_cdf(1.0 - alpha / 2.0) * deviation
    weights = np.outer(*(binom.pmf(successes, clip_count, rate) for rate in (first, second)))
    return float(weights[rejects].sum())


def lowest_rate_told_apart(
    first: float, clip_count: int, *, power: float = POWER, alpha: float = ALPHA
) -> float | None:
    """The nearest rate below ``first`` that ``clip_count`` clips an arm tell from it; None if there is none above 0."""
    low, high = 1e-9, first - 1e-9
    if power_of(first, low, clip_count, alpha=alpha) < power:
        return None
    return float(brentq(lambda rate: power_of(first, rate, clip_count, alpha=alpha) - power, low, high))


def _clips(first: float, second: float, power: float, alpha: float) -> float:
    for name, value in (("rate", first), ("rate", second), ("power", power), ("alpha", alpha)):
        if not 0.0 < value < 1.0:
            raise ValueError(f"{name} {value:g} is not between 0 and 1")
    if first == second:
        raise ValueError(f"both rates are {first:g}; no number of clips tells equal rates apart")
    null, alternative = _deviations(first, second)
    wanted = _NORMAL.inv_cdf(1.0 - alpha / 2.0) * null + _NORMAL.inv_cdf(power) * alternative
    return max(1.0, (wanted / (first - second)) ** 2)


def _deviations(first: float, second: float) -> tuple[float, float]:
    """Deviation of the difference of two single outcomes: with the pooled rate, and with each its own."""
    mean = (first + second) / 2.0
    return math.sqrt(2.0 * mean * (1.0 - mean)), math.sqrt(first * (1.0 - first) + second * (1.0 - second))


def _lines(first: float, second: float, power: float, alpha: float) -> Iterator[str]:
    clips = clips_per_arm(first, second, power=power, alpha=alpha)
    corrected = clips_per_arm_corrected(first, second, power=power, alpha=alpha)
    yield f"success rates {first:g} and {second:g}, two-sided, alpha {alpha:g}, power {power:g}"
    yield ""
    yield f"clips an arm: {clips:,}; with continuity correction (about Fisher's exact test): {corrected:,}"
    if clips <= _MOST_FOR_EXACT_POWER:
        yield f"exact power of the test with {clips:,}: {exact_power(first, second, clips, alpha=alpha):.3f}"
    yield ""
    yield f"clips an arm  nearest lower rate that they tell from {first:g}"
    for count in sorted({*_TABLE_COUNTS, clips}):
        rate = lowest_rate_told_apart(first, count, power=power, alpha=alpha)
        yield f"{count:12,}  {'none' if rate is None else f'{rate:.3f}'}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table. Returns 0, or 2 for rates that cannot be compared."""
    parser = argparse.ArgumentParser(prog="python -m evaluation.pilot", description=__doc__)
    parser.add_argument("--from", dest="first", type=float, required=True, metavar="RATE", help="of the one arm")
    parser.add_argument("--to", dest="second", type=float, required=True, metavar="RATE", help="of the other arm")
    parser.add_argument("--power", type=float, default=POWER, help=f"by default {POWER}")
    parser.add_argument("--alpha", type=float, default=ALPHA, help=f"of the two-sided test, by default {ALPHA}")
    options = parser.parse_args(arguments)
    try:
        lines = list(_lines(options.first, options.second, options.power, options.alpha))
    except ValueError as error:
        parser.error(f"{error}; give two different rates, for example --from 0.95 --to 0.65")
    sys.stdout.write("\n".join(lines) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
