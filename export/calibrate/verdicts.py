"""Compares the chance of success of clips with the verdict "good" with the measured rate of their arm.

A verdict "good" beside a chance below the rate that the arm reached is a defect of the fit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from export.calibrate.statistics import Labels, Values, wilson_interval


@dataclass(frozen=True)
class ArmVerdict:
    """The clips of an arm whose pairs had the verdict "good": their number, how many succeeded, their mean chance.

    ``arm_count`` arms are compared at once.
    """

    arm: str
    clip_count: int
    success_count: int
    mean_chance: float
    arm_count: int = 1

    @property
    def interval(self) -> tuple[float, float]:
        """Interval of the measured rate; those of all arms hold together in 95 %."""
        return wilson_interval(self.success_count, self.clip_count, self.arm_count)

    @property
    def is_below(self) -> bool:
        """True if the chance is below the interval of the measured rate: a defect."""
        return self.mean_chance < self.interval[0]

    @property
    def is_above(self) -> bool:
        """True if the chance is above the interval: the arm has a fault that no figure of the pair tells."""
        return self.mean_chance > self.interval[1]

    def as_dict(self) -> dict[str, Any]:
        """The form for JSON."""
        return {
            "arm": self.arm,
            "clip_count": self.clip_count,
            "success_count": self.success_count,
            "mean_chance": self.mean_chance,
            "interval": list(self.interval),
            "is_below": self.is_below,
            "is_above": self.is_above,
        }


def arm_verdicts(arms: Sequence[str], is_good: Labels, chances: Values, successes: Labels) -> list[ArmVerdict]:
    """One entry for each arm with clips whose pairs had the verdict "good", in the order in which arms first occur.

    ``arms``, ``is_good``, ``chances`` and ``successes`` have one entry for each clip.
    """
    names = np.array(arms)
    chosen = [(name, is_good & (names == name)) for name in dict.fromkeys(arms)]
    chosen = [(name, inside) for name, inside in chosen if inside.any()]
    return [
        ArmVerdict(name, int(inside.sum()), int(successes[inside].sum()), float(chances[inside].mean()), len(chosen))
        for name, inside in chosen
    ]
