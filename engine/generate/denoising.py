"""The denoising loop: transformer calls as planned and one solver call per step, all on the device."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from engine.api.events import Expert
from engine.api.reuse import StepReuse, StepWork
from engine.generate.matrix_columns import KEPT_NAMES, MatrixColumns, keeps_tensors
from engine.generate.prompt_tensors import PromptTensors
from engine.generate.schedule import Schedule
from engine.generate.step_plan import plan_steps
from engine.runtime.base import Array, Graph, Tensor
from engine.runtime.execution import Execution
from engine.runtime.finite import NonFiniteOutput, is_finite


@dataclass(frozen=True, slots=True)
class ExpertRun:
    """A transformer with its guidance scale and prompts.

    ``prompts``: one entry with all prompts, computed in one call, or one entry for each prompt, computed one after the
    other; the prompt first, then the negative prompt if the scale is above 1.
    """

    graph: Graph
    guidance_scale: float
    prompts: tuple[PromptTensors, ...]

    @property
    def prediction_count(self) -> int:
        """Predictions of a full step."""
        return sum(item.count for item in self.prompts)


@dataclass(frozen=True, slots=True)
class Denoised:
    """State after a step. ``x0`` is the current estimate of the clip; both tensors are [1, z, T, h, w]."""

    step: int
    expert: Expert
    work: StepWork
    seconds: float
    latents: Tensor
    x0: Tensor


class _Predictor:
    """The transformers' buffers on the device, and the calls of each kind of step."""

    def __init__(
        self, execution: Execution, experts: Mapping[Expert, ExpertRun], condition: Array, shape: tuple[int, ...]
    ) -> None:
        self._execution = execution
        self._experts = experts
        self._condition = execution.runtime.upload(condition)
        self._timestep = execution.runtime.zeros((1,))
        count = max(run.prediction_count for run in experts.values())
        self.predictions = execution.runtime.zeros((count, *shape[1:]))
        self._calls = {
            (expert, work): self._calls_of(run, work) for expert, run in experts.items() for work in StepWork
        }

    def predict(self, expert: Expert, work: StepWork, latents: Tensor, timestep: Array) -> None:
        """Calls the transformer for the predictions that a step computes; the others stay as they were."""
        if work is StepWork.REUSED:
            return
        self._timestep.update(timestep)
        for prompts, prediction in self._calls[expert, work]:
            inputs = {
                "condition": self._condition,
                "prompt_embeds": prompts.embeds,
                "prompt_bias": prompts.bias,
                "latents": latents,
                "timestep": self._timestep,
            }
            self._execution.run(self._experts[expert].graph, inputs, {"prediction": prediction})

    def _calls_of(self, run: ExpertRun, work: StepWork) -> Sequence[tuple[PromptTensors, Tensor]]:
        """Prompts and prediction of each call."""
        first = run.prompts[0]
        if work is StepWork.GUIDANCE_REUSED:
            return [(first.row(0), self.predictions.row(0))]
        if first.count > 1:
            return [(first, self.predictions)]
        return [(prompts, self.predictions.row(index)) for index, prompts in enumerate(run.prompts)]


class _Solver:
    """The solver's buffers on the device, and its step: ``matrix @ tensors``; see ``schedule``."""

    def __init__(self, execution: Execution, guide_and_step: Graph, noise: Array, columns: MatrixColumns) -> None:
        zeros = execution.runtime.zeros
        self._execution = execution
        self._graph = guide_and_step
        self.latents, self._following = execution.runtime.upload(noise), zeros(noise.shape)
        self._last_sample, self._sample = zeros(noise.shape), zeros(noise.shape)
        # x0 of the previous steps, newest first, and one buffer for the x0 of this step.
        self._history = [zeros(noise.shape) for _ in range(columns.order + 1)]
        names = KEPT_NAMES if columns.keeps else ()
        self._kept, self._kept_next = ({name: zeros(noise.shape) for name in names} for _ in range(2))
        self._matrix = zeros((columns.row_count, columns.count))
        # Graphs of earlier exports lack the output.
        has_magnitude = any(item.name == "magnitude" for item in guide_and_step.spec.outputs)
        self._magnitude = zeros((1,)) if has_magnitude else None

    def step(self, predictions: Tensor, matrix: Array) -> Tensor:
        """Moves ``latents`` one step on; returns x0 of this step."""
        self._matrix.update(matrix)
        x0 = self._history.pop()
        past = {f"x0_{back}": tensor for back, tensor in enumerate(self._history, start=1)}
        state = {"latents": self.latents, "last_sample": self._last_sample, **past, **self._kept}
        outputs = {"next_latents": self._following, "sample": self._sample, "x0": x0}
        outputs |= {f"next_{name}": tensor for name, tensor in self._kept_next.items()}
        if self._magnitude is not None:
            outputs["magnitude"] = self._magnitude
        self._execution.run(self._graph, {**state, "prediction": predictions, "matrix": self._matrix}, outputs)
        self.latents, self._following = self._following, self.latents
        self._last_sample, self._sample = self._sample, self._last_sample
        self._kept, self._kept_next = self._kept_next, self._kept
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
    reuse: StepReuse = StepReuse.OFF,
    after_step: Callable[[Array, float], Array] | None = None,
) -> Iterator[Denoised]:
    """Yields the state after every step; the latents of the last state are the result. ``noise`` is [1, z, T, h, w].

    Calls ``enter`` with an expert before its first step, and with the first expert before any buffer is allocated.
    ``after_step`` gets the latents of each step and sigma of the next one, and returns the latents to go on with, both
    float32 on the host.

    All buffers are allocated before the first step. Without ``after_step`` nothing but one number leaves the device
    between steps, and each step overwrites one timestep and one small matrix. The buffers of a state are overwritten
    two steps later, so a caller must copy what it keeps. Raises ``NonFiniteOutput`` for the transformer of the step
    whose result holds NaN or infinity.
    """
    enter(schedule.expert(0))
    predictor = _Predictor(execution, experts, image_conditioning, noise.shape)
    prediction_count = max(run.prediction_count for run in experts.values())
    columns = MatrixColumns(schedule.order, prediction_count, keeps_tensors(guide_and_step.spec))
    solver = _Solver(execution, guide_and_step, noise, columns)
    scales = {expert: run.guidance_scale for expert, run in experts.items()}
    timesteps = schedule.timesteps.astype(np.float32)
    for step, planned in enumerate(plan_steps(schedule, scales, columns, reuse)):
        started = time.perf_counter()
        if step > 0 and planned.expert is not schedule.expert(step - 1):
            enter(planned.expert)
        predictor.predict(planned.expert, planned.work, solver.latents, timesteps[step : step + 1])
        x0 = solver.step(predictor.predictions, planned.matrix)
        if not solver.is_finite():
            raise NonFiniteOutput(experts[planned.expert].graph.spec, step + 1, schedule.step_count)
        if after_step is not None:
            solver.latents.update(after_step(solver.latents.to_host(), float(schedule.sigmas[step + 1])))
        yield Denoised(step, planned.expert, planned.work, time.perf_counter() - started, solver.latents, x0)
