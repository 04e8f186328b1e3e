"""The denoising loop with transformers and a solver that are Python functions, against the loop written plainly."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pytest

from engine.api.cancellation import CancelFlag
from engine.api.errors import Cancelled
from engine.api.events import Expert
from engine.api.reuse import StepReuse, StepWork
from engine.generate.denoising import ExpertRun, denoise
from engine.generate.prompt_tensors import PromptTensors
from engine.generate.schedule import flow_schedule
from engine.generate.step_plan import step_works
from engine.runtime.base import CallShapes
from engine.runtime.finite import NonFiniteOutput
from tests.generate.computed import ComputedGraph, ComputedRuntime, execution_on, solver_graph, transformer_graph
from tests.jobs.scripted import Clock

if TYPE_CHECKING:
    from engine.generate.denoising import Denoised
    from engine.generate.schedule import Schedule
    from engine.runtime.base import Array

LATENTS = (1, 2, 2, 1, 2)
CONDITIONING = np.full((1, 3, 2, 1, 2), 0.25, np.float32)
NOISE = np.random.default_rng(0).standard_normal(LATENTS, dtype=np.float32)
HIGH, LOW, SINGLE = Expert.HIGH_NOISE, Expert.LOW_NOISE, Expert.SINGLE
FACTORS = {HIGH: 0.5, LOW: -0.25, SINGLE: 0.5}
# Embeddings and bias of a row of the batch, and what the transformer adds for it.
EMBEDS, BIAS = (0.5, -0.75), (1.0, 2.0)
ROW_TERMS = [embeds + bias / 10.0 for embeds, bias in zip(EMBEDS, BIAS, strict=True)]


class Loop:
    """One run of the loop. ``scales`` are the guidance scales of its experts."""

    def __init__(
        self,
        schedule: Schedule,
        *,
        has_magnitude: bool = True,
        keeps: bool = True,
        predictions_of_call: int = 2,
        **scales: float,
    ) -> None:
        self.runtime, self.schedule = ComputedRuntime(CallShapes(predictions_of_call)), schedule
        self.scales = {Expert[name]: scale for name, scale in scales.items()}
        self.entered: list[tuple[Expert, int]] = []
        count = 2 if max(scales.values()) > 1.0 else 1
        batches = [(0, 1)] if count <= predictions_of_call else [(0,), (1,)]
        self._prompts = tuple(self._uploaded(rows[:count]) for rows in batches)
        self.experts = {expert: self._expert(expert, scale) for expert, scale in self.scales.items()}
        self.solver: Any = solver_graph(
            self.runtime, LATENTS, schedule.order, count, has_magnitude=has_magnitude, keeps=keeps
        )

    def _uploaded(self, rows: tuple[int, ...]) -> PromptTensors:
        embeds = np.stack([np.full((4, 3), EMBEDS[row], np.float32) for row in rows])
        bias = np.stack([np.full(4, BIAS[row], np.float32) for row in rows])
        return PromptTensors(self.runtime.upload(embeds), self.runtime.upload(bias), len(rows))

    def _expert(self, expert: Expert, scale: float) -> ExpertRun:
        shapes: dict[str, tuple[int | str, ...]] = {
            "latents": LATENTS,
            "condition": CONDITIONING.shape,
            "prompt_embeds": ("batch", 4, 3),
            "prompt_bias": ("batch", 4),
        }
        name: Any = "transformer" if expert is SINGLE else f"transformer_{expert.value.partition('_')[0]}"
        graph: Any = transformer_graph(self.runtime, name, FACTORS[expert], shapes)
        return ExpertRun(graph, scale, self._prompts if scale > 1.0 else (self._prompts[0].row(0),))

    def states(self, cancel: CancelFlag | None = None, reuse: StepReuse = StepReuse.OFF) -> Any:
        return denoise(
            execution_on(self.runtime, cancel),
            self.schedule,
            self.experts,
            self.solver,
            noise=NOISE,
            image_conditioning=CONDITIONING,
            enter=lambda expert: self.entered.append((expert, len(self.runtime.calls))),
            reuse=reuse,
        )

    def expected(self) -> list[tuple[Array, Array]]:
        """Latents and x0 after every step."""
        latents = NOISE[0].astype(np.float64)
        last_sample, history = np.zeros_like(latents), [np.zeros_like(latents)] * self.schedule.order
        states = []
        for step in range(self.schedule.step_count):
            expert = self.schedule.expert(step)
            everywhere = self.schedule.timesteps[step] / 1000.0 + CONDITIONING.mean()
            count = 2 if self.scales[expert] > 1.0 else 1
            predictions = [FACTORS[expert] * latents + everywhere + term for term in ROW_TERMS[:count]]
            columns = np.stack([latents, last_sample, *history, *predictions])
            matrix = self.schedule.step_matrix(step, self.scales[expert]).astype(np.float64)
            latents, last_sample, x0 = np.tensordot(matrix, columns, axes=1)
            history = [x0, *history[:-1]]
            states.append((latents[None], x0[None]))
        return states


def host(state: Denoised) -> tuple[Array, Array]:
    return state.latents.to_host(), state.x0.to_host()


@pytest.mark.parametrize("keeps", [True, False], ids=["keeps", "a bundle of before"])
@pytest.mark.parametrize("order", [1, 2, 3])
@pytest.mark.parametrize("scale", [1.0, 3.5])
def test_every_step_equals_the_loop_written_plainly(order: int, scale: float, keeps: bool) -> None:
    loop = Loop(flow_schedule(6, 3.0, order), keeps=keeps, SINGLE=scale)
    states = [(state.step, state.expert, *host(state)) for state in loop.states()]
    assert [state[:2] for state in states] == [(step, SINGLE) for step in range(6)]
    for (_, _, latents, x0), (expected_latents, expected_x0) in zip(states, loop.expected(), strict=True):
        assert latents.dtype == x0.dtype == np.float32
        np.testing.assert_allclose(latents, expected_latents, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(x0, expected_x0, rtol=1e-4, atol=1e-5)
    assert loop.runtime.calls == ["transformer", "guide_and_step"] * 6


@pytest.mark.parametrize("predictions_of_call", [1, 2])
@pytest.mark.parametrize(("high", "low"), [(3.5, 1.0), (1.0, 3.5), (3.0, 4.0)])
def test_each_expert_works_with_its_own_guidance(high: float, low: float, predictions_of_call: int) -> None:
    schedule = flow_schedule(4, 5.0, 2, boundary_timestep=900.0)
    loop = Loop(schedule, predictions_of_call=predictions_of_call, HIGH_NOISE=high, LOW_NOISE=low)
    states = [(state.expert, *host(state)) for state in loop.states()]
    assert [state[0] for state in states] == [HIGH, HIGH, LOW, LOW]
    for (_, latents, x0), (expected_latents, expected_x0) in zip(states, loop.expected(), strict=True):
        np.testing.assert_allclose(latents, expected_latents, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(x0, expected_x0, rtol=1e-4, atol=1e-5)
    of_step = {name: 2 if predictions_of_call == 1 and scale > 1.0 else 1 for name, scale in loop.scales.items()}
    assert loop.runtime.calls == (
        [*["transformer_high"] * of_step[HIGH], "guide_and_step"] * 2
        + [*["transformer_low"] * of_step[LOW], "guide_and_step"] * 2
    )


def test_one_prediction_a_call_is_made_of_the_prompt_first() -> None:
    loop = Loop(flow_schedule(2, 5.0, 2), predictions_of_call=1, SINGLE=3.5)
    list(loop.states())
    calls = cast("Any", loop.experts[SINGLE].graph).inputs
    assert [call["prompt_embeds"][:, 0, 0].tolist() for call in calls] == [[EMBEDS[0]], [EMBEDS[1]]] * 2


def test_a_cancel_is_seen_between_the_two_predictions(monkeypatch: pytest.MonkeyPatch) -> None:
    loop, cancel = Loop(flow_schedule(2, 5.0, 2), predictions_of_call=1, SINGLE=3.5), CancelFlag()
    run = ComputedGraph.run

    def cancelled(graph: ComputedGraph, inputs: Any, outputs: Any) -> None:
        run(graph, inputs, outputs)
        cancel.set()

    monkeypatch.setattr(ComputedGraph, "run", cancelled)
    with pytest.raises(Cancelled):
        list(loop.states(cancel))
    assert loop.runtime.calls == ["transformer"]


@pytest.mark.parametrize("predictions_of_call", [1, 2])
def test_no_step_allocates_a_buffer(predictions_of_call: int, monkeypatch: pytest.MonkeyPatch) -> None:
    schedule = flow_schedule(12, 5.0, 2, boundary_timestep=900.0)
    loop = Loop(schedule, predictions_of_call=predictions_of_call, HIGH_NOISE=3.5, LOW_NOISE=1.0)
    states = loop.states(reuse=StepReuse.BALANCED)
    next(states)
    monkeypatch.delattr(ComputedRuntime, "upload")
    monkeypatch.delattr(ComputedRuntime, "zeros")
    assert len(list(states)) == 11


def test_an_expert_is_entered_before_its_first_step_and_the_first_one_before_any_buffer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    loop = Loop(flow_schedule(4, 5.0, 2, boundary_timestep=900.0), HIGH_NOISE=3.5, LOW_NOISE=3.5)
    made: list[str] = []

    def recording(method: Any) -> Any:
        def make(*given: Any) -> Any:
            made.append("buffer")
            return method(*given)

        return make

    for name in ("upload", "zeros"):
        monkeypatch.setattr(loop.runtime, name, recording(getattr(loop.runtime, name)))
    enter = loop.entered.append
    states = denoise(
        execution_on(loop.runtime),
        loop.schedule,
        loop.experts,
        loop.solver,
        noise=NOISE,
        image_conditioning=CONDITIONING,
        enter=lambda expert: enter((expert, len(made))),
    )
    next(states)
    assert loop.entered == [(HIGH, 0)]
    list(states)
    assert [expert for expert, _ in loop.entered] == [HIGH, LOW]
    list(loop.states())
    assert loop.entered[2:] == [(HIGH, 8), (LOW, 12)]  # calls made before: two for each step


@pytest.mark.parametrize("step_count", [1, 3])
def test_an_expert_of_one_step_is_entered_once(step_count: int) -> None:
    loop = Loop(flow_schedule(step_count, 5.0, 2, boundary_timestep=950.0), HIGH_NOISE=3.5, LOW_NOISE=3.5)
    list(loop.states())
    assert loop.entered == [(HIGH, 0), (LOW, 2)][:step_count]


def test_a_step_takes_as_long_as_its_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(500.0)
    monkeypatch.setattr("engine.generate.denoising.time", clock)
    loop = Loop(flow_schedule(2, 5.0, 2), SINGLE=1.0)
    run = ComputedGraph.run

    def slow(graph: ComputedGraph, inputs: Any, outputs: Any) -> None:
        clock.seconds += 1.5
        run(graph, inputs, outputs)

    monkeypatch.setattr(ComputedGraph, "run", slow)
    seconds = []
    for state in loop.states():
        seconds.append(state.seconds)
        clock.seconds += 100.0  # of whoever takes the state
    assert seconds == [3.0, 3.0]


def test_a_cancel_stops_before_the_next_call() -> None:
    loop, cancel = Loop(flow_schedule(3, 5.0, 2), SINGLE=1.0), CancelFlag()
    states = loop.states(cancel)
    next(states)
    cancel.set()
    with pytest.raises(Cancelled):
        next(states)
    assert loop.runtime.calls == ["transformer", "guide_and_step"]


@pytest.mark.parametrize("has_magnitude", [True, False], ids=["read", "a bundle of before"])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("row", [0, 1], ids=["with the prompt", "with the negative prompt"])
@pytest.mark.parametrize(("wrong", "step"), [(HIGH, 1), (LOW, 3)])
def test_a_prediction_that_is_no_number_ends_the_loop_at_its_step(
    wrong: Expert, step: int, row: int, value: float, has_magnitude: bool
) -> None:
    schedule = flow_schedule(4, 5.0, 2, boundary_timestep=900.0)
    loop = Loop(schedule, has_magnitude=has_magnitude, HIGH_NOISE=3.5, LOW_NOISE=3.5)
    graph: Any = loop.experts[wrong].graph
    right = graph._function

    def predict(inputs: Any) -> dict[str, Array]:
        prediction = right(inputs)["prediction"]
        prediction[row, -1, -1, 0, 1] = value  # one of all
        return {"prediction": prediction}

    graph._function = predict
    done: list[int] = []
    with np.errstate(invalid="ignore"), pytest.raises(NonFiniteOutput, match="computed NaN or infinity") as caught:
        done.extend(state.step for state in loop.states())
    assert done == list(range(step - 1))
    assert (caught.value.spec, caught.value.step, caught.value.step_count) == (graph.spec, step, 4)
    assert len(loop.runtime.calls) == 2 * step


@pytest.mark.parametrize("has_magnitude", [True, False])
def test_large_numbers_are_numbers(has_magnitude: bool) -> None:
    """A mean of magnitudes must not overflow before the latents do."""
    loop = Loop(flow_schedule(2, 5.0, 2), has_magnitude=has_magnitude, SINGLE=1.0)
    loop.experts[SINGLE].graph._function = lambda inputs: {  # type: ignore[attr-defined]
        "prediction": np.full_like(inputs["latents"], 1e30)
    }
    assert [np.isfinite(host(state)[0]).all() for state in loop.states()] == [True, True]


def test_the_last_two_states_are_kept_apart() -> None:
    """The buffers of a state are written again two steps later, and not before."""
    loop = Loop(flow_schedule(4, 5.0, 2), SINGLE=1.0)
    states = loop.states()
    before = next(states)
    for state in states:
        kept = host(before)
        np.testing.assert_allclose(kept[0], loop.expected()[before.step][0], rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(kept[1], loop.expected()[before.step][1], rtol=1e-4, atol=1e-5)
        before = state


def plain_states(loop: Loop, works: str, scale: float) -> list[Array]:
    """Latents after every step of the loop with one expert, written plainly; ``works`` has a letter for each step."""
    latents = NOISE[0].astype(np.float64)
    last_sample, history = np.zeros_like(latents), [np.zeros_like(latents)] * 2
    velocities: list[tuple[float, Array]] = []
    guidance: Any = None
    states = []
    for step, work in enumerate(works):
        sigma = float(loop.schedule.sigmas[step])
        everywhere = loop.schedule.timesteps[step] / 1000.0 + CONDITIONING.mean()
        told, untold = (FACTORS[SINGLE] * latents + everywhere + term for term in ROW_TERMS)
        if work == "F":
            guidance = told - untold
        velocity = told + (scale - 1.0) * guidance
        if work == "R":
            (last_sigma, last), (before_sigma, before) = velocities
            velocity = last + (sigma - last_sigma) / (last_sigma - before_sigma) * (last - before)
        else:
            velocities = [(sigma, velocity), *velocities[:1]]
        columns = np.stack([latents, last_sample, *history, velocity])
        latents, last_sample, x0 = np.tensordot(loop.schedule.step_matrix(step, 1.0), columns, axes=1)
        history = [x0, history[0]]
        states.append(latents[None])
    return states


LETTERS = {StepWork.FULL: "F", StepWork.GUIDANCE_REUSED: "G", StepWork.REUSED: "R"}


@pytest.mark.parametrize("predictions_of_call", [1, 2])
@pytest.mark.parametrize("reuse", [StepReuse.BALANCED, StepReuse.FAST])
def test_steps_that_reuse_earlier_ones_equal_the_loop_written_plainly(
    reuse: StepReuse, predictions_of_call: int
) -> None:
    loop = Loop(flow_schedule(20, 5.0, 2), predictions_of_call=predictions_of_call, SINGLE=3.5)
    states = [(LETTERS[state.work], state.latents.to_host()) for state in loop.states(reuse=reuse)]
    works = "".join(work for work, _ in states)
    assert {"F", "R"} <= set(works)
    for (_, latents), expected in zip(states, plain_states(loop, works, 3.5), strict=True):
        np.testing.assert_allclose(latents, expected, rtol=1e-4, atol=1e-4)
    calls_of = {"F": 3 - predictions_of_call, "G": 1, "R": 0}
    expected_calls = [call for work in works for call in [*["transformer"] * calls_of[work], "guide_and_step"]]
    assert loop.runtime.calls == expected_calls
    rows = [len(call["prompt_embeds"]) for call in cast("Any", loop.experts[SINGLE].graph).inputs]
    of_full = [2] if predictions_of_call == 2 else [1, 1]
    assert rows == [count for work in works for count in {"F": of_full, "G": [1], "R": []}[work]]


@pytest.mark.parametrize("reuse", [StepReuse.BALANCED, StepReuse.FAST])
def test_nothing_is_reused_across_the_switch_of_experts(reuse: StepReuse) -> None:
    """The second expert predicts its sigma, to three digits, which lies on a line; the first one a number far off."""
    schedule = flow_schedule(20, 5.0, 2, boundary_timestep=900.0)
    loop = Loop(schedule, HIGH_NOISE=3.5, LOW_NOISE=3.5)

    def predict(inputs: Any) -> dict[str, Array]:
        timestep = inputs["timestep"][0]
        value = 50.0 if timestep >= 900.0 else timestep / 1000.0
        return {"prediction": np.full((len(inputs["prompt_embeds"]), *LATENTS[1:]), value)}

    for expert in (HIGH, LOW):
        cast("Any", loop.experts[expert].graph)._function = predict
    works = [state.work for state in loop.states(reuse=reuse)]
    inputs = loop.solver.inputs
    low = [step for step in range(19) if schedule.expert(step) is LOW]
    assert {works[step] for step in low} >= {StepWork.FULL, StepWork.REUSED}
    for step in low:
        velocity = (inputs[step]["latents"] - inputs[step + 1]["x0_1"]) / schedule.sigmas[step]
        np.testing.assert_allclose(velocity, schedule.sigmas[step], atol=5e-3)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_step_with_reused_guidance_is_checked_too(value: float) -> None:
    loop = Loop(flow_schedule(20, 5.0, 2), SINGLE=3.5)
    graph: Any = loop.experts[SINGLE].graph
    right = graph._function

    def predict(inputs: Any) -> dict[str, Array]:
        prediction = right(inputs)["prediction"]
        return {"prediction": prediction if len(prediction) == 2 else np.full_like(prediction, value)}

    graph._function = predict
    works = [LETTERS[planned] for planned in step_works(loop.schedule, StepReuse.FAST, loop.scales)]
    with np.errstate(invalid="ignore"), pytest.raises(NonFiniteOutput) as caught:
        list(loop.states(reuse=StepReuse.FAST))
    assert caught.value.step == works.index("G") + 1
