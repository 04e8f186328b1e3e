"""The noise schedule and the solver, as one small matrix per step.

Wan2.2 is a flow model: ``x_sigma = (1 - sigma) x0 + sigma noise`` and the transformer predicts ``noise - x0``. The
solver is UniPC (Zhao et al. 2023, "UniPC: A Unified Predictor-Corrector Framework", B2(h) form, predicting x0),
as Diffusers' ``UniPCMultistepScheduler`` runs it with ``use_flow_sigmas``. Every update of that solver is linear in
the tensors it touches, so one step is one small matrix, and the device only ever computes ``matrix @ tensors``. The
rows are the next latents, this sample (corrected) and this x0; ``matrix_columns`` describes the columns.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.api.events import Expert
from engine.generate.matrix_columns import MatrixColumns, Row


@dataclass(frozen=True, slots=True)
class Schedule:
    """Noise levels of one clip.

    ``sigmas`` has ``step_count + 1`` float32 values, the last one 0; ``timesteps`` has ``step_count`` integers. The
    high-noise expert runs at timesteps of ``boundary_timestep`` and above; None means one transformer.
    """

    sigmas: NDArray[np.float32]
    timesteps: NDArray[np.int64]
    order: int
    boundary_timestep: float | None = None

    @property
    def step_count(self) -> int:
        """Number of denoising steps."""
        return len(self.timesteps)

    def expert(self, step: int) -> Expert:
        """The transformer that runs in a step."""
        if self.boundary_timestep is None:
            return Expert.SINGLE
        return Expert.HIGH_NOISE if self.timesteps[step] >= self.boundary_timestep else Expert.LOW_NOISE

    def step_matrix(self, step: int, guidance_scale: float) -> NDArray[np.float32]:
        """The matrix of one step, ``[3, 2 + order + 1]``, with one more column if the guidance scale is above 1."""
        columns = MatrixColumns(self.order, 2 if guidance_scale > 1.0 else 1)
        return self.solver_rows(step, columns, columns.velocity(guidance_scale)).astype(np.float32)

    def solver_rows(self, step: int, columns: MatrixColumns, velocity: Row) -> Row:
        """The three rows of one step's matrix, with the velocity as a row over its columns."""
        latents, history = columns.latents, columns.history
        x0 = latents - float(self.sigmas[step]) * velocity
        sample = latents
        if step > 0:
            sample = self._correct(step, columns.last_sample, history, x0)
        following = self._predict(step, sample, [x0, *history])
        return np.stack([following, sample, x0])

    def _order_at(self, step: int) -> int:
        """Lower order at the start, while history is short, and at the end, where sigma reaches 0."""
        return min(self.order, self.step_count - step, step + 1)

    def _predict(self, step: int, sample: Row, x0s: list[Row]) -> Row:
        """UniP: from sigma[step] to sigma[step + 1]. ``x0s`` are those of this step, one step ago, and so on."""
        order = self._order_at(step)
        span = _Span.between(self.sigmas[step], self.sigmas[step + 1])
        result: Row = span.decay * sample - span.alpha * span.growth * x0s[0]
        ratios = self._ratios(step, order, span)
        if order == 1:
            return result
        weights: Row = np.array([0.5]) if order == 2 else span.solve(ratios, order - 1)
        for index, weight in enumerate(weights):
            result = result - span.alpha * span.growth * weight / ratios[index] * (x0s[index + 1] - x0s[0])
        return result

    def _correct(self, step: int, last_sample: Row, history: list[Row], x0: Row) -> Row:
        """UniC: repeats the previous step now that x0 at its end is known."""
        order = self._order_at(step - 1)
        span = _Span.between(self.sigmas[step - 1], self.sigmas[step])
        ratios = self._ratios(step - 1, order, span)
        weights: Row = np.array([0.5]) if order == 1 else span.solve([*ratios, 1.0], order)
        result: Row = span.decay * last_sample - span.alpha * span.growth * history[0]
        for index, ratio in enumerate(ratios):
            result = result - span.alpha * span.growth * weights[index] / ratio * (history[index + 1] - history[0])
        correction: Row = span.alpha * span.growth * weights[-1] * (x0 - history[0])
        return result - correction

    def _ratios(self, step: int, order: int, span: _Span) -> list[float]:
        """Positions of the points before ``step`` in units of the span, negative."""
        start = _log_snr(self.sigmas[step])
        return [(_log_snr(self.sigmas[step - back]) - start) / span.width for back in range(1, order)]


def flow_schedule(
    step_count: int,
    shift: float,
    order: int,
    *,
    boundary_timestep: float | None = None,
    train_step_count: int = 1000,
) -> Schedule:
    """Flow sigmas, shifted: ``shift * s / (1 + (shift - 1) * s)`` for evenly spaced s from 1 down.

    The first sigma stays 1e-6 below 1, because the solver takes the logarithm of 1 - sigma; timesteps are truncated to
    whole numbers. Both as in Diffusers, so that a schedule equals the reference bit for bit.
    """
    even = np.linspace(1, 1 / train_step_count, step_count + 1)[:-1]
    sigmas = shift * even / (1 + (shift - 1) * even)
    if abs(sigmas[0] - 1) < 1e-6:
        sigmas[0] -= 1e-6
    return Schedule(
        sigmas=np.append(sigmas, 0.0).astype(np.float32),
        timesteps=(sigmas * train_step_count).astype(np.int64),
        order=order,
        boundary_timestep=boundary_timestep,
    )


def _log_snr(sigma: np.float32) -> float:
    """Half the logarithm of the signal-to-noise ratio, log((1 - sigma) / sigma); infinite at sigma 0."""
    if sigma == 0:
        return math.inf
    return math.log(1.0 - float(sigma)) - math.log(float(sigma))


@dataclass(frozen=True, slots=True)
class _Span:
    """One step from sigma s to sigma t; ``width`` is h of the paper, ``growth`` is e^-h - 1."""

    width: float
    decay: float  # sigma_t / sigma_s
    alpha: float  # 1 - sigma_t
    growth: float

    @classmethod
    def between(cls, start: np.float32, end: np.float32) -> _Span:
        width = _log_snr(end) - _log_snr(start)
        return cls(width, float(end) / float(start), 1.0 - float(end), math.expm1(-width))

    def solve(self, ratios: list[float], count: int) -> Row:
        """Weights of the first ``count`` ratios by the order conditions of the paper (theorem 3.1, B2(h))."""
        powers = np.stack([np.power(ratios[:count], index) for index in range(count)])
        conditions = []
        phi = self.growth / -self.width - 1
        factorial = 1
        for index in range(1, count + 1):
            conditions.append(phi * factorial / self.growth)
            factorial *= index + 1
            phi = phi / -self.width - 1 / factorial
        weights: Row = np.linalg.solve(powers, np.array(conditions))
        return weights
