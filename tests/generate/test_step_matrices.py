"""Sigmas, timesteps and step matrices against fixed numbers. ``test_schedule`` holds the same code to Diffusers."""

from __future__ import annotations

import numpy as np
import pytest

from engine.api.events import Expert
from engine.generate.schedule import flow_schedule

# Columns: latents, last sample, x0 one step ago, two, three steps ago, prediction. Rows: next latents, sample, x0.
ORDER_2 = (
    ((1, 0, 0, 0, -0.09078413), (1, 0, 0, 0, 0), (1, 0, 0, 0, -0.999999)),
    (
        (0.2622809, 0.714898, 0.02282114, 0, -0.2384697),
        (0.04539211, 0.9092157, 0.04539211, 0, -0.04127118),
        (1, 0, 0, 0, -0.9092149),
    ),
    (
        (1, 0, 0, 0, -0.7148973),
        (0.1270577, 0.7862798, 0.08710955, -0.0004470276, -0.09083319),
        (1, 0, 0, 0, -0.7148973),
    ),
)
ORDER_3 = (
    ((1, 0, 0, 0, 0, -0.07683331), (1, 0, 0, 0, 0, 0), (1, 0, 0, 0, 0, -0.999999)),
    (
        (0.152426, 0.8184305, 0.0291435, 0, 0, -0.1407145),
        (0.03841669, 0.9231666, 0.03841669, 0, 0, -0.03546497),
        (1, 0, 0, 0, 0, -0.9231657),
    ),
    (
        (0.3346929, 0.7227542, -0.05829014, 0.0008430636, 0, -0.2739226),
        (0.06436663, 0.8865469, 0.04921507, -0.0001285714, 0, -0.05267956),
        (1, 0, 0, 0, 0, -0.8184296),
    ),
    (
        (0.6283319, 0.5251454, -0.1452327, -0.00825456, 1.00125e-05, -0.4192367),
        (0.08944209, 0.8152464, 0.1081105, -0.01281455, 1.554361e-05, -0.05967772),
        (1, 0, 0, 0, 0, -0.6672218),
    ),
    (
        (1, 0, 0, 0, 0, -0.4297945),
        (0.1745439, 0.6441553, 0.2198706, -0.03856984, 0, -0.07501801),
        (1, 0, 0, 0, 0, -0.4297945),
    ),
)
ORDER_1 = (
    ((1, 0, 0, -0.332888), (1, 0, 0, 0), (1, 0, 0, -0.999999)),
    ((1, 0, 0, -0.667111), (0.1664442, 0.6671116, 0.1664442, -0.1110367), (1, 0, 0, -0.667111)),
)


@pytest.mark.parametrize(
    ("step_count", "shift", "order", "matrices"), [(2, 2.0, 1, ORDER_1), (3, 5.0, 2, ORDER_2), (5, 3.0, 3, ORDER_3)]
)
def test_the_matrix_of_every_step(step_count: int, shift: float, order: int, matrices: object) -> None:
    schedule = flow_schedule(step_count, shift, order)
    actual = np.stack([schedule.step_matrix(step, guidance_scale=1.0) for step in range(step_count)])
    assert actual.dtype == np.float32
    np.testing.assert_allclose(actual, np.array(matrices), rtol=2e-6, atol=2e-7)


@pytest.mark.parametrize(("scale", "is_guided"), [(0.5, False), (1.0, False), (1.001, True), (3.5, True)])
def test_guidance_mixes_the_predictions_with_and_without_the_prompt(scale: float, is_guided: bool) -> None:
    schedule = flow_schedule(3, 5.0, order=2)
    plain, guided = schedule.step_matrix(1, 1.0), schedule.step_matrix(1, scale)
    assert guided.shape == (3, 6 if is_guided else 5)
    np.testing.assert_allclose(guided[:, :4], plain[:, :4], rtol=1e-6)
    if is_guided:
        np.testing.assert_allclose(guided[:, 4], scale * plain[:, 4], rtol=1e-5)
        np.testing.assert_allclose(guided[:, 5], (1.0 - scale) * plain[:, 4], rtol=1e-4)


def test_sigmas_fall_from_just_below_one_to_zero() -> None:
    schedule = flow_schedule(3, 5.0, order=2)
    assert schedule.sigmas.dtype == np.float32
    np.testing.assert_allclose(schedule.sigmas, [0.999999, 0.90921485, 0.7148973, 0.0], rtol=1e-7)
    assert schedule.timesteps.tolist() == [999, 909, 714]
    assert schedule.timesteps.dtype == np.int64
    assert (schedule.step_count, schedule.order, schedule.boundary_timestep) == (3, 2, None)


def test_a_schedule_without_shift_is_even() -> None:
    np.testing.assert_allclose(flow_schedule(2, 1.0, 1).sigmas, [0.999999, 0.5005, 0.0], rtol=1e-6)


def test_another_number_of_training_steps_scales_the_timesteps() -> None:
    schedule = flow_schedule(2, 2.0, 1, train_step_count=100)
    assert schedule.timesteps.tolist() == [99, 67]
    np.testing.assert_allclose(schedule.sigmas, [0.999999, 0.6710963, 0.0], rtol=1e-7)


def test_a_first_sigma_below_one_is_kept() -> None:
    """One training step leaves only sigma 1; its schedule begins there too."""
    np.testing.assert_allclose(flow_schedule(1, 5.0, 2, train_step_count=1).sigmas, [0.999999, 0.0], rtol=1e-7)


def test_the_high_noise_expert_works_down_to_its_boundary() -> None:
    schedule = flow_schedule(3, 5.0, 2, boundary_timestep=909.0)
    assert [schedule.expert(step) for step in range(3)] == [Expert.HIGH_NOISE, Expert.HIGH_NOISE, Expert.LOW_NOISE]
    schedule = flow_schedule(3, 5.0, 2, boundary_timestep=909.5)
    assert [schedule.expert(step) for step in range(3)] == [Expert.HIGH_NOISE, Expert.LOW_NOISE, Expert.LOW_NOISE]
    assert flow_schedule(3, 5.0, 2).expert(0) is Expert.SINGLE
