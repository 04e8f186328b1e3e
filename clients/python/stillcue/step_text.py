"""Denoising steps in plain words: how many were computed in full, and how many reuse earlier ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from stillcue.reuse import StepWork

if TYPE_CHECKING:
    from collections.abc import Mapping

    from stillcue.events import DenoiseProgress

_WITH_REUSE = {StepWork.GUIDANCE_REUSED: "with reused guidance", StepWork.REUSED: "reused"}


@dataclass(frozen=True, slots=True)
class StepTally:
    """The steps of a clip or segment so far: their number, their seconds in all, and how many reuse earlier ones."""

    step_count: int = 0
    seconds: float = 0.0
    reusing_count: int = 0

    def after(self, event: DenoiseProgress) -> StepTally:
        """Returns the tally with one step more; the first step of an attempt or of a segment begins anew."""
        before = StepTally() if event.completed_step_count <= 1 else self
        return StepTally(
            before.step_count + 1,
            before.seconds + event.step_seconds,
            before.reusing_count + (event.work in _WITH_REUSE),
        )

    @property
    def mean_seconds(self) -> float:
        """Mean seconds of a step; 0 before the first."""
        return self.seconds / self.step_count if self.step_count else 0.0

    def describe(self) -> str:
        """Returns how many steps reuse earlier ones, to follow a number of steps; empty if none does."""
        return f", {self.reusing_count} with reuse" if self.reusing_count else ""


def describe_steps(counts: Mapping[StepWork, int]) -> str:
    """Returns how many steps did what, in one line; empty if no step reuses an earlier one."""
    reusing = [f"{counts[work]} {words}" for work, words in _WITH_REUSE.items() if counts.get(work)]
    if not reusing:
        return ""
    return f"{counts.get(StepWork.FULL, 0)} of {sum(counts.values())} steps computed in full, {', '.join(reusing)}"
