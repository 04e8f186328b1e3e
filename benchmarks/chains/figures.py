"""Figures of chains: shares with Wilson intervals, differences to the baseline, and ratios at the seams."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.chains.judge import Verdict
from benchmarks.chains.seams import SeamFigures
from export.calibrate.statistics import wilson_interval

SHARES = ("motion", "subject", "scene", "light", "is_right")
RATIOS = ("motion_jump", "colour_shift", "change")
_RESAMPLE_COUNT = 2_000
_TAILS = (0.025, 0.975)

Figures = Iterator[tuple[str, float]]
_Values = NDArray[np.float64]


@dataclass(frozen=True)
class Judged:
    """Verdict and seams of one chain."""

    verdict: Verdict
    seams: Sequence[SeamFigures]


def share_figures(chains: Sequence[Judged]) -> Figures:
    """Shares of chains, and of each stage's motion, with the ends of their 95 % intervals."""
    for name in SHARES:
        yield from _share(name, [getattr(chain.verdict, name) for chain in chains])
    for stage in range(len(chains[0].verdict.motions)):
        yield from _share(f"motion_of_stage_{stage + 1}", [chain.verdict.motions[stage] for chain in chains])


def difference_figures(chains: Sequence[Judged], baseline: Sequence[Judged]) -> Figures:
    """Differences of shares to the baseline's for the same stories, in points, with bootstrap intervals."""
    for name in SHARES:
        ours, theirs = (
            np.array([getattr(chain.verdict, name) for chain in group], np.float64) for group in (chains, baseline)
        )
        differences = 100.0 * (ours - theirs)
        yield f"{name}_points", float(differences.mean())
        low, high = np.quantile(_resampled(differences).mean(axis=1), _TAILS)
        yield f"{name}_points_low", float(low)
        yield f"{name}_points_high", float(high)


def seam_figures(chains: Sequence[Judged]) -> Figures:
    """Mean at the seams over the mean of the medians inside, with bootstrap intervals over chains.

    Means of all seams are divided, not single ones: subjects that stand still have medians of 0.
    """
    for name in RATIOS:
        at_seam, inside = (
            np.array([[getattr(seam, key) for seam in chain.seams] for chain in chains]).mean(axis=1)
            for key in (name, f"{name}_inside")
        )
        ratios = _resampled(at_seam).mean(axis=1) / _resampled(inside).mean(axis=1)
        low, high = np.quantile(ratios, _TAILS)
        yield f"{name}_at_seam", float(at_seam.mean())
        yield f"{name}_inside", float(inside.mean())
        yield f"{name}_ratio", float(at_seam.mean() / inside.mean())
        yield f"{name}_ratio_low", float(low)
        yield f"{name}_ratio_high", float(high)


def _share(name: str, hits: Sequence[bool]) -> Figures:
    low, high = wilson_interval(sum(hits), len(hits))
    yield f"{name}_share", sum(hits) / len(hits)
    yield f"{name}_share_low", low
    yield f"{name}_share_high", high


def _resampled(values: _Values) -> _Values:
    """Bootstrap resamples, [resamples, values]: the same stories in every call of one length."""
    chosen = np.random.default_rng(0).integers(0, len(values), (_RESAMPLE_COUNT, len(values)))
    resampled: _Values = values[chosen]
    return resampled
