"""Plans a job's denoising steps before the first one: what each computes and reuses, and its matrix.

A full step calls the transformer for every prediction. Two kinds of steps call it less, and both are linear in tensors
that are there already, so they are other matrices:

* *guidance reused*: the difference of the predictions with and without the prompt changes slowly from step to step, so
  the one of the last full step serves again (Lyu et al. 2025, "FasterCache");
* *reused*: along a flow the velocity changes slowly, so it is extrapolated from the last two computed ones, linearly in
  sigma. EasyCache (Zhou et al. 2025, "Less is Enough") repeats velocity minus latents instead; docs/reuse.md compares.

Which steps they are is fixed by the number of steps, so that a seed gives the same bytes and the device is not asked.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.api.events import Expert
from engine.api.reuse import StepReuse, StepWork
from engine.bundle.manifest import Manifest
from engine.generate.matrix_columns import MatrixColumns, Row, keeps_tensors
from engine.generate.schedule import Schedule

_FULL, _GUIDANCE_REUSED, _REUSED = StepWork


@dataclass(frozen=True, slots=True)
class PlannedStep:
    """What a step computes, with its matrix, float32 [rows, columns]."""

    expert: Expert
    work: StepWork
    matrix: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class _Profile:
    """``reused_share`` of all steps, at least one step, are reused between two computed ones.

    The same share is the same distance in the schedule at any number of steps. ``guidance_count``: computed steps that
    a guidance serves, its own full step included.
    """

    reused_share: float
    guidance_count: int

    def turns(self, step_count: int) -> tuple[StepWork, ...]:
        """What the steps after the first ones do, again and again."""
        reused = [_REUSED] * max(1, round(self.reused_share * step_count))
        turn = [*reused, _GUIDANCE_REUSED] * (self.guidance_count - 1)
        return (*turn, *reused, _FULL)


_PROFILES = {
    StepReuse.BALANCED: _Profile(reused_share=0.05, guidance_count=1),
    StepReuse.FAST: _Profile(reused_share=0.05, guidance_count=2),
}
_FIRST_SHARE = 0.1  # of the steps: the clip takes shape in these
_FIRST_COUNT = 2  # of each expert: as many velocities make a line


def step_works(schedule: Schedule, reuse: StepReuse, scales: Mapping[Expert, float]) -> Iterator[StepWork]:
    """What each step computes. The first steps of each expert and the last step of the clip are full."""
    step_count = schedule.step_count
    turns = (_FULL,) if reuse is StepReuse.OFF else _PROFILES[reuse].turns(step_count)
    first = max(_FIRST_COUNT, round(_FIRST_SHARE * step_count))  # the step from which the turns repeat
    for step in range(step_count):
        expert = schedule.expert(step)
        if step > 0 and expert is not schedule.expert(step - 1):
            first = max(first, step + _FIRST_COUNT)
        work = turns[(step - first) % len(turns)]
        is_full = step < first or step == step_count - 1 or (work is _GUIDANCE_REUSED and scales[expert] <= 1.0)
        yield _FULL if is_full else work


def plan_steps(
    schedule: Schedule, scales: Mapping[Expert, float], columns: MatrixColumns, reuse: StepReuse
) -> tuple[PlannedStep, ...]:
    """The steps of a job. ``scales`` are the guidance scales of its experts.

    Raises ``ValueError`` for reuse without kept tensors.
    """
    if reuse is not StepReuse.OFF and not columns.keeps:
        raise ValueError("this bundle's graph guide_and_step keeps no tensors to reuse; export the checkpoint again")
    computed: list[float] = []  # sigmas of the kept velocities of this expert, newest first
    steps = []
    for step, work in enumerate(step_works(schedule, reuse, scales)):
        expert, sigma = schedule.expert(step), float(schedule.sigmas[step])
        if step > 0 and expert is not schedule.expert(step - 1):
            computed = []
        velocity = _velocity(columns, work, scales[expert], sigma, computed)
        rows = schedule.solver_rows(step, columns, velocity)
        if columns.keeps:
            rows = np.stack([*rows, *_kept_next(columns, work, velocity, scales[expert], reuse)])
        steps.append(PlannedStep(expert, work, rows.astype(np.float32)))
        if work is not _REUSED:
            computed = [sigma, *computed[:1]]
    return tuple(steps)


def _velocity(columns: MatrixColumns, work: StepWork, scale: float, sigma: float, computed: list[float]) -> Row:
    if work is _FULL:
        return columns.velocity(scale)
    if work is _GUIDANCE_REUSED:
        return columns.velocity_with_kept_guidance(scale)
    last, before = computed
    return columns.kept_velocity((sigma - last) / (last - before))


def _kept_next(
    columns: MatrixColumns, work: StepWork, velocity: Row, scale: float, reuse: StepReuse
) -> tuple[Row, Row, Row]:
    """The kept tensors after a step; zeros if the job reuses nothing."""
    if reuse is StepReuse.OFF:
        nothing = np.zeros(columns.count)
        return nothing, nothing, nothing
    if work is _REUSED:
        return columns.kept
    last, _, guidance = columns.kept
    return velocity, last, columns.guidance(scale) if work is _FULL else guidance


def supports_reuse(manifest: Manifest) -> bool:
    """True if jobs of a bundle may reuse steps: it is not distilled for few steps, and its graphs keep tensors."""
    guides = [spec for spec in manifest.graphs if spec.stage == "guide_and_step"]
    return manifest.distilled is None and all(keeps_tensors(spec) for spec in guides)
