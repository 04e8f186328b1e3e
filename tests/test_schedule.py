"""The numpy schedule and solver against Diffusers' scheduler."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from diffusers import UniPCMultistepScheduler
from numpy.typing import NDArray

from engine.api.events import Expert
from engine.api.reuse import StepReuse, StepWork
from engine.generate.matrix_columns import MatrixColumns
from engine.generate.schedule import flow_schedule
from engine.generate.step_plan import plan_steps


def _reference(
    step_count: int, shift: float, order: int, dtype: torch.dtype = torch.float32
) -> UniPCMultistepScheduler:
    scheduler = UniPCMultistepScheduler(
        prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=shift, solver_order=order
    )
    scheduler.set_timesteps(step_count)
    if dtype is torch.float64:
        scheduler.sigmas = scheduler.sigmas.double()
    return scheduler


@pytest.mark.parametrize("step_count", [1, 2, 3, 4, 8, 20, 40, 50])
@pytest.mark.parametrize("shift", [1.0, 3.0, 5.0, 8.0])
def test_sigmas_and_timesteps_equal_the_reference(step_count: int, shift: float) -> None:
    ours, reference = flow_schedule(step_count, shift, order=2), _reference(step_count, shift, 2)
    assert ours.timesteps.tolist() == reference.timesteps.tolist()
    np.testing.assert_array_equal(ours.sigmas, reference.sigmas.numpy())


_RUNS = [(1, 5.0), (2, 5.0), (3, 3.0), (4, 5.0), (9, 1.0), (20, 3.0), (40, 5.0)]


@pytest.mark.parametrize("order", [1, 2, 3])
@pytest.mark.parametrize(("step_count", "shift"), _RUNS)
def test_every_step_equals_the_reference_on_random_predictions(step_count: int, shift: float, order: int) -> None:
    """The reference works in float64 here: at order 3 its float32 coefficients alone err by more than that."""
    generator = np.random.default_rng(step_count * 10 + order)
    ours, reference = flow_schedule(step_count, shift, order), _reference(step_count, shift, order, torch.float64)
    latents = torch.from_numpy(generator.standard_normal((1, 64)))
    absent = torch.zeros_like(latents)
    for step in range(step_count):
        prediction = torch.from_numpy(generator.standard_normal((1, 64)))
        # The state before this step is the reference's own, so that each step is judged alone.
        history = [absent if x0 is None else x0 for x0 in reversed(reference.model_outputs)]
        last_sample = absent if reference.last_sample is None else reference.last_sample
        columns = torch.cat([latents, last_sample, *history, prediction]).float().numpy()
        latents = reference.step(prediction, reference.timesteps[step], latents)[0]
        ours_next, ours_sample, ours_x0 = ours.step_matrix(step, guidance_scale=1.0) @ columns
        for actual, expected in (
            (ours_next, latents),
            (ours_sample, reference.last_sample),
            (ours_x0, reference.model_outputs[-1]),
        ):
            np.testing.assert_allclose(actual, expected[0].numpy(), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(("step_count", "shift"), _RUNS)
def test_a_whole_run_stays_with_the_reference(step_count: int, shift: float) -> None:
    generator = np.random.default_rng(step_count)
    ours, reference = flow_schedule(step_count, shift, order=2), _reference(step_count, shift, 2)
    latents = generator.standard_normal(64, dtype=np.float32)
    expected = torch.from_numpy(latents.copy())[None]
    last_sample, history = np.zeros_like(latents), [np.zeros_like(latents)] * 2
    for step in range(step_count):
        prediction = generator.standard_normal(64, dtype=np.float32)
        expected = reference.step(torch.from_numpy(prediction)[None], reference.timesteps[step], expected)[0]
        columns = np.stack([latents, last_sample, *history, prediction])
        latents, last_sample, x0 = ours.step_matrix(step, guidance_scale=1.0) @ columns
        history = [x0, history[0]]
    np.testing.assert_allclose(latents, expected[0].numpy(), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("reuse", list(StepReuse))
def test_a_run_with_kept_tensors_stays_with_the_reference(reuse: StepReuse) -> None:
    """The reference gets the velocity that a step should have: guided, with kept guidance, or on the line of two."""
    scale, step_count = 3.5, 20
    generator = np.random.default_rng(1)
    schedule, reference = flow_schedule(step_count, 5.0, order=2), _reference(step_count, 5.0, 2)
    columns = MatrixColumns(order=2, prediction_count=2, keeps=True)
    latents = generator.standard_normal(64, dtype=np.float32)
    expected = torch.from_numpy(latents.copy())[None]
    state = np.zeros((6, 64), np.float32)  # last sample, two x0, three kept ones
    kept: list[tuple[float, NDArray[np.float64]]] = []
    guidance = np.zeros(64)
    for step, planned in enumerate(plan_steps(schedule, {Expert.SINGLE: scale}, columns, reuse)):
        sigma = float(schedule.sigmas[step])
        with_prompt, without = generator.standard_normal((2, 64), dtype=np.float32)
        guidance = with_prompt - without if planned.work is StepWork.FULL else guidance
        velocity = with_prompt + (scale - 1.0) * guidance
        if planned.work is StepWork.REUSED:
            (last_sigma, last), (before_sigma, before) = kept
            velocity = last + (sigma - last_sigma) / (last_sigma - before_sigma) * (last - before)
        else:
            kept = [(sigma, velocity), *kept[:1]]
        prediction = torch.from_numpy(velocity.astype(np.float32))[None]
        expected = reference.step(prediction, reference.timesteps[step], expected)[0]
        results = planned.matrix @ np.stack([latents, *state, with_prompt, without])
        latents, sample, x0, *now_kept = results
        state = np.stack([sample, x0, state[1], *now_kept])
    np.testing.assert_allclose(latents, expected[0].numpy(), rtol=1e-4, atol=1e-4)


def test_guidance_is_a_linear_combination_of_two_predictions() -> None:
    schedule = flow_schedule(5, 5.0, order=2)
    generator = np.random.default_rng(0)
    state = generator.standard_normal((4, 16), dtype=np.float32)
    with_prompt, without = generator.standard_normal((2, 16), dtype=np.float32)
    guided = schedule.step_matrix(2, guidance_scale=3.5) @ np.stack([*state, with_prompt, without])
    mixed = without + 3.5 * (with_prompt - without)
    np.testing.assert_allclose(guided, schedule.step_matrix(2, 1.0) @ np.stack([*state, mixed]), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("step_count", "shift", "high_noise_count"),
    [(40, 5.0, 15), (40, 3.0, 11), (4, 5.0, 2)],
)
def test_experts_split_at_the_boundary(step_count: int, shift: float, high_noise_count: int) -> None:
    schedule = flow_schedule(step_count, shift, order=2, boundary_timestep=900.0)
    experts = [schedule.expert(step) for step in range(step_count)]
    assert experts == [Expert.HIGH_NOISE] * high_noise_count + [Expert.LOW_NOISE] * (step_count - high_noise_count)
    without = flow_schedule(step_count, shift, order=2)
    assert {without.expert(step) for step in range(step_count)} == {Expert.SINGLE}
