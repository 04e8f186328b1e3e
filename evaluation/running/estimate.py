"""Estimates the time of a run from the clips that it has made."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean

from evaluation.plan.reading import RunPlan
from evaluation.record import ClipRecord
from evaluation.running.tasks import Task


class Estimate:
    """Time of the clips that are left, from the clips with as many steps."""

    def __init__(self, run_plan: RunPlan, first_count: int, process_count: int) -> None:
        self._remedy_count = sum(len(item.of) * len(item.remedies) for item in run_plan.plan.remedy)
        self._first_count = first_count
        self._process_count = process_count
        self._default_step_count = run_plan.default_step_count

    def text(self, made: Sequence[ClipRecord], todo: Sequence[Task]) -> str:
        """A line of progress: clips made and left, seconds of a clip, time left."""
        if not made:
            return f"{len(todo)} clips to make"
        seconds = sum(self._seconds(made, task) for task in todo) / self._process_count
        mean = fmean(item.seconds for item in made)
        line = f"{len(made)} clips made, {len(todo)} left, {mean:.1f} s a clip: about {_words(seconds)} left"
        if self._remedy_count and len(made) < self._first_count:
            line += f"; the failed clips of {self._remedy_count} arms are then made again with a remedy"
        return line

    def _seconds(self, made: Sequence[ClipRecord], task: Task) -> float:
        """The mean time of the clips with as many steps, else a mean time in proportion to the steps."""
        steps = task.arm.sampling.step_count or self._default_step_count
        same = [item.seconds for item in made if item.settings.step_count == steps]
        if same:
            return fmean(same)
        return steps * fmean(item.seconds / item.settings.step_count for item in made)


def _words(seconds: float) -> str:
    return f"{seconds / 3600:.1f} h" if seconds >= 5400 else f"{max(seconds / 60, 0.1):.1f} min"
