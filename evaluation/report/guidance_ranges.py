"""Guidance scales inside the ranges that the article advises, against those outside."""

from __future__ import annotations

from collections.abc import Iterator

from evaluation.plan.model import Arm
from evaluation.report.evidence import Evidence
from evaluation.statistics.share import NOTHING, Share

GUIDANCE_GROUP = "guidance"
BELOW_ADVISED = "guidance below 7"
ABOVE_HIGHEST = "guidance above 10"
_LOWEST, _HIGHEST_ADVISED, _HIGHEST = 7.0, 9.0, 10.0


def guidance_of(evidence: Evidence, arm: Arm) -> float:
    """The guidance scale of an arm's clips."""
    return evidence.of(arm.id)[0].settings.guidance_scale


def guidance_arms(evidence: Evidence) -> list[Arm]:
    """The arms of the guidance curve by scale: the group's, and the arm without a fault at the bundle's own scale."""
    arms = [*evidence.in_group(GUIDANCE_GROUP), *([evidence.matched] if evidence.matched is not None else [])]
    return sorted(arms, key=lambda arm: guidance_of(evidence, arm))


def guidance_ranges(evidence: Evidence) -> Iterator[tuple[str, Share, str, Share]]:
    """Yields each range that breaks an advice: its name and success, and those of the range that keeps the advice."""
    shares = [(guidance_of(evidence, arm), evidence.success(arm.id)) for arm in guidance_arms(evidence)]

    def between(low: float, high: float) -> Share:
        return sum((share for scale, share in shares if low <= scale <= high), NOTHING)

    below = sum((share for scale, share in shares if scale < _LOWEST), NOTHING)
    above = sum((share for scale, share in shares if scale > _HIGHEST), NOTHING)
    yield BELOW_ADVISED, below, "7 to 9", between(_LOWEST, _HIGHEST_ADVISED)
    yield ABOVE_HIGHEST, above, "7 to 10", between(_LOWEST, _HIGHEST)
