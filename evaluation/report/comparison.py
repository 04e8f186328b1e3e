"""Every arm against the arm without its fault: difference, size of the effect, corrected p."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from evaluation.report.evidence import Evidence
from evaluation.report.guidance_ranges import guidance_ranges
from evaluation.statistics.difference import Difference, cohen_h, difference
from evaluation.statistics.share import Share
from evaluation.statistics.significance import LEVEL, fisher_p, holm


@dataclass(frozen=True, slots=True)
class Comparison:
    """Success of an arm less that of the arm it is compared with. ``p`` is corrected for all comparisons of a page."""

    base_name: str
    difference: Difference
    effect: float
    p: float

    @property
    def is_worse(self) -> bool:
        """Significantly less success."""
        return self.p < LEVEL and self.difference.value < 0


def compared(pairs: Iterable[tuple[str, Share, str, Share]]) -> dict[str, Comparison]:
    """Comparisons of (name, share, other name, other share) by name, corrected for their number; skips empty shares."""
    listed = [pair for pair in pairs if pair[1].count and pair[3].count]
    p_values = holm([fisher_p(share, base) for _, share, _, base in listed])
    return {
        name: Comparison(base_name, difference(share, base), cohen_h(share, base), p)
        for (name, share, base_name, base), p in zip(listed, p_values, strict=True)
    }


def compare_arms(evidence: Evidence) -> Mapping[str, Comparison]:
    """The success of every arm against that of its ``compare_with``, and of guidance ranges, by arm or range."""
    arms = [
        (arm.id, evidence.success(arm.id), arm.compare_with, evidence.success(arm.compare_with))
        for arm in evidence.arms
        if arm.compare_with != arm.id
    ]
    return compared([*arms, *guidance_ranges(evidence)])
