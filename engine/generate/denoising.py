"""The denoising loop. Knows experts, guidance and the solver's matrix; knows no prompt, picture or frame."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from engine.api.events import Expert
from engine.generate.schedule import Schedule
from engine.runtime.base import Array, Graph, Tensor
from engine.runtime.execution import Execution


@dataclass(frozen=True, slots=True)
class ExpertRun:
    """A transformer and how it is guided.

    ``prompt_embeds`` [B, rows, text size] and ``prompt_bias`` [B, rows]; B is 2 where the scale is above 1, else 1.
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
    """State after a step: ``x0`` is what the clip looks like by now; both are [1, z, T, h, w]."""

    step: int
    expert: Expert
    seconds: float
    latents: Tensor
    x0: Tensor


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
    """Yields the state after every step. ``noise`` [1, z, T, h, w]; the last state's latents are the result.

    ``enter`` is told of an expert before its first step, of the first one before there is any buffer.

    Nothing leaves the device between steps; each step uploads one timestep and one small matrix. A state's buffers
    are written again two steps later: whoever wants to keep one copies it.
    """
    working = schedule.expert(0)
    enter(working)
    zeros, upload = execution.runtime.zeros, execution.runtime.upload
    latents, following = upload(noise), zeros(noise.shape)
    last_sample, sample = zeros(noise.shape), zeros(noise.shape)
    # x0 of the steps before, newest first, and one buffer for the x0 of this step.
    history = [zeros(noise.shape) for _ in range(schedule.order + 1)]
    fixed = {"condition": upload(image_conditioning)}
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
        inputs = {**fixed, **prompt, "latents": latents, "timestep": timestep}
        execution.run(run.graph, inputs, {"prediction": prediction})
        x0 = history.pop()
        past = {f"x0_{back}": tensor for back, tensor in enumerate(history, start=1)}
        matrix = upload(schedule.step_matrix(step, run.guidance_scale))
        state = {"latents": latents, "last_sample": last_sample, "prediction": prediction, "matrix": matrix}
        execution.run(guide_and_step, {**state, **past}, {"next_latents": following, "sample": sample, "x0": x0})
        latents, following = following, latents
        last_sample, sample = sample, last_sample
        history.insert(0, x0)
        yield Denoised(step, expert, time.perf_counter() - started, latents, x0)
