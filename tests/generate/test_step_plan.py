"""What each step computes and reuses, and its matrix, by hand. ``test_denoising`` runs the loop with it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from engine.api.events import Expert
from engine.api.reuse import StepReuse, StepWork
from engine.generate.matrix_columns import MatrixColumns
from engine.generate.schedule import flow_schedule
from engine.generate.step_plan import plan_steps, step_works

if TYPE_CHECKING:
    from engine.generate.schedule import Schedule

HIGH, LOW, SINGLE = Expert.HIGH_NOISE, Expert.LOW_NOISE, Expert.SINGLE
LETTERS = {StepWork.FULL: "F", StepWork.GUIDANCE_REUSED: "G", StepWork.REUSED: "R"}
PREDICTIONS = slice(7, 9)  # columns of order 2: latents, last sample, two x0, three kept ones, two predictions
KEPT = slice(4, 7)


def works(schedule: Schedule, reuse: StepReuse, **scales: float) -> str:
    by_expert = {Expert[name]: scale for name, scale in scales.items()}
    return "".join(LETTERS[work] for work in step_works(schedule, reuse, by_expert))


@pytest.mark.parametrize("reuse", [StepReuse.BALANCED, StepReuse.FAST])
@pytest.mark.parametrize("step_count", [1, 2, 3, 10, 13, 20, 40, 50, 100])
@pytest.mark.parametrize("boundary", [None, 900.0, 999.0])
def test_the_first_steps_of_an_expert_and_the_last_one_are_full(
    boundary: float | None, step_count: int, reuse: StepReuse
) -> None:
    schedule = flow_schedule(step_count, 5.0, 2, boundary_timestep=boundary)
    made = works(schedule, reuse, SINGLE=3.5, HIGH_NOISE=3.5, LOW_NOISE=3.5)
    experts = [schedule.expert(step) for step in range(step_count)]
    for expert in set(experts):
        of_expert = made[experts.index(expert) :][: experts.count(expert)]
        assert of_expert[:2] == "FF"[: len(of_expert)]
    assert made[-1] == "F"
    assert len(made) == step_count


def test_without_reuse_every_step_is_full() -> None:
    assert works(flow_schedule(12, 5.0, 2), StepReuse.OFF, SINGLE=3.5) == "F" * 12


def columns_of(**options: Any) -> MatrixColumns:
    return MatrixColumns(order=2, prediction_count=2, **options)


@pytest.mark.parametrize("scale", [1.0, 3.5])
def test_without_reuse_the_matrix_is_the_solvers_and_nothing_is_kept(scale: float) -> None:
    schedule = flow_schedule(6, 5.0, 2)
    for step, planned in enumerate(plan_steps(schedule, {SINGLE: scale}, columns_of(keeps=True), StepReuse.OFF)):
        assert planned.matrix.dtype == np.float32
        assert (planned.matrix[3:] == 0.0).all()
        assert (planned.matrix[:, KEPT] == 0.0).all()
        alone = schedule.step_matrix(step, scale)
        used = [0, 1, 2, 3, 7, 8][: alone.shape[1]]
        np.testing.assert_array_equal(planned.matrix[:3, used], alone)


def test_a_full_step_keeps_its_velocity_the_one_before_and_its_guidance() -> None:
    schedule = flow_schedule(20, 5.0, 2)
    planned = plan_steps(schedule, {SINGLE: 3.5}, columns_of(keeps=True), StepReuse.BALANCED)[1]
    assert planned.work is StepWork.FULL
    velocity, before, guidance = planned.matrix[3:]
    assert velocity.tolist() == [0.0] * 7 + [3.5, -2.5]
    assert before.tolist() == [0.0] * 4 + [1.0] + [0.0] * 4
    assert guidance.tolist() == [0.0] * 7 + [1.0, -1.0]


def test_a_reused_step_extrapolates_the_kept_velocities_and_keeps_them() -> None:
    """Velocities 3 and 5 were computed at sigmas s2 < s1; on the line through both, 5 + (s - s2) / (s2 - s1) * 2."""
    schedule = flow_schedule(20, 5.0, 2)
    steps = plan_steps(schedule, {SINGLE: 3.5}, columns_of(keeps=True), StepReuse.BALANCED)
    number = next(index for index, planned in enumerate(steps) if planned.work is StepWork.REUSED)
    before, last, sigma = (float(schedule.sigmas[number - back]) for back in (2, 1, 0))
    state = np.zeros(9)
    state[0], state[4], state[5], state[6] = 0.5, 5.0, 3.0, 0.25
    state[PREDICTIONS] = 100.0  # of an earlier step
    _, _, x0, *kept = steps[number].matrix.astype(np.float64) @ state
    assert x0 == pytest.approx(0.5 - sigma * (5.0 + (sigma - last) / (last - before) * 2.0), rel=1e-6)
    assert kept == [5.0, 3.0, 0.25]


def test_a_step_with_kept_guidance_adds_it_to_its_own_prediction() -> None:
    """With the prompt 2, without it 2 - 0.5 as in the last full step: velocity 2 + (3.5 - 1) * 0.5."""
    schedule = flow_schedule(20, 5.0, 2)
    steps = plan_steps(schedule, {SINGLE: 3.5}, columns_of(keeps=True), StepReuse.FAST)
    number = next(index for index, planned in enumerate(steps) if planned.work is StepWork.GUIDANCE_REUSED)
    state = np.zeros(9)
    state[0], state[4], state[5], state[6] = 0.5, 5.0, 3.0, 0.5
    state[PREDICTIONS] = 2.0, 100.0  # the second one of an earlier step
    _, _, x0, *kept = steps[number].matrix.astype(np.float64) @ state
    assert x0 == pytest.approx(0.5 - float(schedule.sigmas[number]) * 3.25, rel=1e-6)
    assert kept == [pytest.approx(3.25), 5.0, 0.5]


def test_an_expert_without_guidance_has_none_to_reuse() -> None:
    schedule = flow_schedule(40, 5.0, 2, boundary_timestep=900.0)
    mixed = works(schedule, StepReuse.FAST, HIGH_NOISE=3.5, LOW_NOISE=1.0)
    high_count = [schedule.expert(step) for step in range(40)].count(HIGH)
    assert "G" in mixed[:high_count]
    assert "G" not in mixed[high_count:]
    assert "R" in mixed[high_count:]


def test_reuse_needs_a_graph_that_keeps_tensors() -> None:
    with pytest.raises(ValueError, match="keeps no tensors to reuse; export the checkpoint again"):
        plan_steps(flow_schedule(20, 5.0, 2), {SINGLE: 3.5}, columns_of(), StepReuse.BALANCED)
