"""The denoising loop: one transformer call and one solver call per step, all on the device."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from engine.api.events import Expert
from engine.generate.schedule import Schedule
from engine.runtime.base import Array, Graph, Tensor
from engine.runtime.execution import Execution
from engine.runtime.finite import NonFiniteOutput, is_finite


@dataclass(frozen=True, slots=True)
class ExpertRun:
    """A transformer with its guidance scale and prompt embeddings.

    ``prompt_embeds`` [B, rows, text size] and ``prompt_bias`` [B, rows]; B is 2 if the scale is above 1, else 1.
    """

    graph: Graph
    guidance_scale: float
    prompt_embeds: Tensor
    prompt_bias: Tensor

    @property
    def batch_count(self) -> int:
        """Predictions of one call."""
        return 2 if self.guidance_scale > 1.0 else 1


@dataclass(frozen=True, slots=True)
class Denoised:
    """State after a step. ``x0`` is the current estimate of the clip; both tensors are [1, z, T, h, w]."""

    step: int
    expert: Expert
    seconds: float
    latents: Tensor
    x0: Tensor


class _Solver:
    """The solver's buffers on the device, and its step: ``matrix @ tensors``; see ``schedule``."""

    def __init__(self, execution: Execution, guide_and_step: Graph, noise: Array, order: int) -> None:
        zeros = execution.runtime.zeros
        self._execution = execution
        self._graph = guide_and_step
        self.latents, self._following = execution.runtime.upload(noise), zeros(noise.shape)
        self._last_sample, self._sample = zeros(noise.shape), zeros(noise.shape)
        # x0 of the previous steps, newest first, and one buffer for the x0 of this step.
        self._history = [zeros(noise.shape) for _ in range(order + 1)]
        # Graphs of earlier exports lack the output.
        has_magnitude = any(item.name == "magnitude" for item in guide_and_step.spec.outputs)
        self._magnitude = zeros((1,)) if has_magnitude else None

    def step(self, prediction: Tensor, matrix: Tensor) -> Tensor:
        """Moves ``latents`` one step on; returns x0 of this step."""
        x0 = self._history.pop()
        past = {f"x0_{back}": tensor for back, tensor in enumerate(self._history, start=1)}
        inputs = {"latents": self.latents, "last_sample": self._last_sample, "prediction": prediction, "matrix": matrix}
        outputs = {"next_latents": self._following, "sample": self._sample, "x0": x0}
        if self._magnitude is not None:
            outputs["magnitude"] = self._magnitude
        self._execution.run(self._graph, {**inputs, **past}, outputs)
        self.latents, self._following = self._following, self.latents
        self._last_sample, self._sample = self._sample, self._last_sample
        self._history.insert(0, x0)
        return x0

    def is_finite(self) -> bool:
        """False if the latest step computed NaN or infinity.

        Reads the mean magnitude of all results, four bytes; without that output the latents, whose every value sums
        over all inputs of the step.
        """
        return is_finite((self.latents if self._magnitude is None else self._magnitude).to_host())


def denoise(
    execution: Execution,
    schedule: Schedule,
    experts: Mapping[Expert, ExpertRun],
    guide_and_step: Graph,
    *,
    noise: Array,
    image_conditioning: Array,
    enter: Callable[[Expert], None],
) -> Iterator[Denoised]:
    """Yields the state after every step; the latents of the last state are the result. ``noise`` is [1, z, T, h, w].

    Calls ``enter`` with an expert before its first step, and with the first expert before any buffer is allocated.

    Nothing but one number leaves the device between steps; each step uploads one timestep and one small matrix. The
    buffers of a state are overwritten two steps later, so a caller must copy what it keeps. Raises ``NonFiniteOutput``
    for the transformer of the step whose result holds NaN or infinity.
    """
    working = schedule.expert(0)
    enter(working)
    zeros, upload = execution.runtime.zeros, execution.runtime.upload
    solver = _Solver(execution, guide_and_step, noise, schedule.order)
    conditioning = upload(image_conditioning)
    predictions = {run.batch_count: zeros((run.batch_count, *noise.shape[1:])) for run in experts.values()}
    for step in range(schedule.step_count):
        started = time.perf_counter()
        expert = schedule.expert(step)
        if expert is not working:
            enter(expert)
            working = expert
        run = experts[expert]
        prediction = predictions[run.batch_count]
        timestep = upload(schedule.timesteps[step : step + 1].astype(np.float32))
        prompt = {"prompt_embeds": run.prompt_embeds, "prompt_bias": run.prompt_bias}
        inputs = {"condition": conditioning, **prompt, "latents": solver.latents, "timestep": timestep}
        execution.run(run.graph, inputs, {"prediction": prediction})
        x0 = solver.step(prediction, upload(schedule.step_matrix(step, run.guidance_scale)))
        if not solver.is_finite():
            raise NonFiniteOutput(run.graph.spec, step + 1, schedule.step_count)
        yield Denoised(step, expert, time.perf_counter() - started, solver.latents, x0)
