"""Share of an arm's failed clips that each remedy mends, beside the share that a new seed alone mends."""

from __future__ import annotations

from dataclasses import dataclass, replace

from evaluation.plan.model import Arm
from evaluation.report.evidence import REMEDY_GROUP, Evidence
from evaluation.statistics.difference import Difference, difference
from evaluation.statistics.share import Share
from evaluation.statistics.significance import LEVEL, holm, mcnemar_p

CONTROL = "seed"


@dataclass(frozen=True, slots=True)
class RemedyEffect:
    """A remedy for the failed clips of an arm.

    ``mended`` and ``control`` are the shares that the remedy and the new seed alone mended. ``only_remedy`` and
    ``only_control`` count clips that were made again both ways and were mended by one of them; ``p`` is that of
    McNemar's exact test, corrected for all remedies of a page. Without clips of the control ``p`` is 1.
    """

    base: Arm
    failed_count: int
    remedy: str
    mended: Share
    control: Share
    only_remedy: int
    only_control: int
    p: float

    @property
    def is_right(self) -> bool:
        """The remedy undoes what the arm does wrong."""
        return self.remedy == self.base.right_remedy

    @property
    def gain(self) -> Difference | None:
        """Mended by the remedy less mended by a new seed; None where one was not tried."""
        return difference(self.mended, self.control) if self.mended.count and self.control.count else None

    @property
    def is_better(self) -> bool:
        """The remedy mends significantly more than a new seed."""
        return self.p < LEVEL and self.only_remedy > self.only_control


def remedy_effects(evidence: Evidence) -> list[RemedyEffect]:
    """The effect of every remedy that was tried, in the plan's order."""
    arms = [arm for arm in evidence.plan.arms if arm.group == REMEDY_GROUP and arm.remedy not in {None, CONTROL}]
    effects = [_effect(evidence, arm) for arm in arms if evidence.of(arm.id)]
    corrected = holm([effect.p for effect in effects])
    return [replace(effect, p=p) for effect, p in zip(effects, corrected, strict=True)]


def controls(evidence: Evidence) -> list[tuple[Arm, int, Share]]:
    """Base arm, its number of failed clips, and the share that a new seed alone mended, in the plan's order."""
    bases = dict.fromkeys(arm.redo_of for arm in evidence.plan.arms if arm.redo_of and arm.remedy == CONTROL)
    listed = [(arm, evidence.of(f"{arm.id}+{CONTROL}")) for arm in evidence.arms if arm.id in bases]
    return [
        (arm, sum(map(evidence.is_failure, evidence.of(arm.id))), evidence.share(clips))
        for arm, clips in listed
        if clips
    ]


def _effect(evidence: Evidence, arm: Arm) -> RemedyEffect:
    assert arm.remedy is not None
    base = evidence.plan.plan.base_of(arm)
    treated, control = evidence.of(arm.id), evidence.of(f"{base.id}+{CONTROL}")
    known = evidence.labels.successes
    by_index = {clip.index: known[clip.key] for clip in control if clip.key in known}
    both = [(known[clip.key], by_index[clip.index]) for clip in treated if clip.key in known and clip.index in by_index]
    only_remedy, only_control = both.count((True, False)), both.count((False, True))
    failures = sum(map(evidence.is_failure, evidence.of(base.id)))
    p = mcnemar_p(only_remedy, only_control)
    return RemedyEffect(
        base, failures, arm.remedy, evidence.share(treated), evidence.share(control), only_remedy, only_control, p
    )
