"""Exact tests of two shares, and Holm's correction for many tests.

Source of the correction: S. Holm, "A simple sequentially rejective multiple test procedure", Scandinavian Journal of
Statistics 6 (1979).
"""

from __future__ import annotations

from collections.abc import Sequence

from scipy.stats import binomtest, fisher_exact

from evaluation.statistics.share import Share

LEVEL = 0.05


def fisher_p(first: Share, second: Share) -> float:
    """Two-sided p of Fisher's exact test that two shares of different clips are equal; 1 if one has no clips."""
    table = [[share.hit_count, share.count - share.hit_count] for share in (first, second)]
    return min(float(fisher_exact(table).pvalue), 1.0)


def mcnemar_p(only_first: int, only_second: int) -> float:
    """Two-sided p of McNemar's exact test of two outcomes for the same cases, from the counts of those that differ."""
    total = only_first + only_second
    return float(binomtest(only_first, total).pvalue) if total else 1.0


def holm(p_values: Sequence[float]) -> list[float]:
    """The p values corrected for their number, in the given order: below ``LEVEL`` means significant."""
    corrected = [0.0] * len(p_values)
    highest = 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        highest = max(highest, min((len(p_values) - rank) * p_values[index], 1.0))
        corrected[index] = highest
    return corrected
