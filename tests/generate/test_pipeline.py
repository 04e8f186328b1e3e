"""The life of a clip on graphs that are Python functions: order of events and calls, what each stage gets, summary."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from engine.api.cancellation import CancelFlag
from engine.api.capabilities import Family, Geometry
from engine.api.errors import Cancelled, MatchRefused
from engine.api.events import Event, Expert, FrameMatch, FrameReady, JobDone, Stage, StageStarted, StepDone
from engine.api.job import MatchMode, PictureFit, PreparedJob
from engine.api.match_report import MatchReport, SuccessBasis, SuccessEstimate
from engine.api.media import Box
from engine.api.reuse import StepWork
from engine.generate.model_parts import ModelParts
from engine.generate.picture_encoder import PictureEncoder
from engine.generate.pipeline import Pipeline
from engine.generate.schedule import flow_schedule
from engine.generate.segment_join import PutBack
from engine.generate.stopwatch import Stopwatch
from engine.matching.review import Review
from engine.testing.fake_match import fake_match_report
from tests.generate.computed import (
    PEAK_MEMORY_BYTES,
    ComputedGraph,
    ComputedRuntime,
    accumulating_graphs,
    execution_on,
    solver_graph,
    transformer_graph,
)
from tests.jobs.scripted import Clock, prepared

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from engine.bundle.graph_spec import GraphName
    from engine.runtime.base import Array

GEOMETRY = Geometry(16, 8, 9)
LATENTS = (1, 2, 3, 1, 2)
FRAME, FRAMES, LATENT = (1, 3, 1, 8, 16), (1, 3, 4, 8, 16), (1, 2, 1, 1, 2)
MATCH, TEXT, IMAGE, DENOISE, DECODE = Stage
ROW_COUNT = 6
DIAGNOSIS: Any = "the diagnosis"
MATCHES = (FrameMatch(0, 60.0),)
SUCCESS = SuccessEstimate(0.75, SuccessBasis.MEASURED)
VAE_ENCODER = ["vae_encoder_init", "vae_encoder_step", "vae_encoder_step"]
VAE_DECODER = ["vae_decoder_init", "vae_decoder_step", "vae_decoder_step"]


def job(**fields: Any) -> PreparedJob:
    """9 frames of 16x8 in four steps, whose picture is all of one grey; settings by name, other fields as ``job_…``."""
    own = {name.removeprefix("job_"): value for name, value in fields.items() if name.startswith("job_")}
    settings = {name: value for name, value in fields.items() if not name.startswith("job_")}
    values = {
        "width_px": 16,
        "height_px": 8,
        "negative_prompt": "a dog",
        "crop": Box(0, 0, 32, 16),
        "picture_fit": PictureFit.CROP_CENTER,
    }
    whole = prepared(**values | settings)
    return replace(whole, **{"prompt": "a fox runs", "picture": np.full((8, 16, 3), 204, np.uint8), **own})


class StubPrompts:
    """Embeddings of a prompt: one row for each word, filled with the number of its letters."""

    row_count = ROW_COUNT

    def __init__(self, runtime: ComputedRuntime) -> None:
        self._runtime = runtime
        self.encoded: list[str] = []

    def encode(self, prompt: str, execution: Any) -> Array:
        execution.cancel.check()
        assert execution.runtime is self._runtime
        self.encoded.append(prompt)
        return np.array([[[len(word)] * 3 for word in prompt.split()]], np.float32)


class StubScorer:
    """Scores 10 for each word, as the fake engine does, or what ``report`` says."""

    def __init__(self) -> None:
        self.report = fake_match_report("a fox runs", 16, 8, [GEOMETRY])
        self.asked: list[tuple[Any, Array, str]] = []

    def score(self, execution: Any, picture: Array, prompt: str) -> MatchReport:
        self.asked.append((execution, picture, prompt))
        return self.report


class StubWatch:
    """Keeps the frames that it saw."""

    def __init__(self, frame_count: int, frame_rate: float) -> None:
        self.made_with = (frame_count, frame_rate)
        self.frames: list[Array] = []

    def add(self, pixels: Array) -> None:
        self.frames.append(pixels)


class Clips:
    """A pipeline on a computed model of two experts, or of one with ``family`` 5B; review of clips is recorded."""

    def __init__(
        self,
        monkeypatch: pytest.MonkeyPatch,
        *,
        is_5b: bool = False,
        has_scorer: bool = True,
        picture_cache_bytes: int = 0,
        keeps: bool = True,
    ) -> None:
        self.is_5b = is_5b
        self.runtime = ComputedRuntime()
        self.prompts = StubPrompts(self.runtime)
        self.scorer = StubScorer() if has_scorer else None
        self.entered: list[tuple[Any, ...]] = []
        self.reviews: list[tuple[tuple[Any, ...], dict[str, Any]]] = []
        self.enriched_with: list[tuple[Any, ...]] = []
        monkeypatch.setattr("engine.generate.clip_run.ClipWatch", StubWatch)
        monkeypatch.setattr("engine.generate.clip_run.review_clip", self._review)
        monkeypatch.setattr("engine.generate.clip_match.enriched", self._enrich)
        self.manifest = SimpleNamespace(
            schedule=SimpleNamespace(order=2, boundary_timestep=None if is_5b else 900.0, train_step_count=1000),
            guidance=SimpleNamespace(scale=3.5),
            scorer="the scorer's entry" if has_scorer else None,
            preview=SimpleNamespace(matrix=((1.0, 0.0, 0.0), (0.0, 1.0, 0.0)), bias=(0.5, 0.5, 0.25)),
            expand_timesteps=is_5b,
            family=Family.WAN22_TI2V_5B if is_5b else Family.WAN22_I2V_A14B,
        )
        self.graphs = self._graphs(keeps)
        pictures = PictureEncoder(is_first_frame=is_5b, cache_bytes=picture_cache_bytes)
        parts: Any = (
            self.manifest,
            self,
            self.scorer,
            "the context",
            self.prompts,
            pictures,
            PutBack(1 if is_5b else 5),
        )
        self.pipeline = Pipeline(ModelParts(*parts))

    def _graphs(self, keeps: bool) -> dict[str, Any]:
        encoder = accumulating_graphs(self.runtime, "encoder", FRAME, FRAMES, LATENT, LATENT)
        decoder = accumulating_graphs(self.runtime, "decoder", LATENT, LATENT, FRAME, FRAMES)
        graphs: dict[str, Any] = {graph.spec.stage: graph for graph in (*encoder, *decoder)}
        if self.is_5b:  # encodes one frame, and keeps nothing for a next one
            graphs["vae_encoder_init"] = ComputedGraph(
                self.runtime,
                "vae_encoder_init",
                {"picture": FRAME},
                {"latent": LATENT},
                lambda inputs: {"latent": np.full(LATENT, inputs["picture"].mean())},
            )
        condition = LATENT if self.is_5b else (1, 6, 3, 1, 2)
        names: tuple[GraphName, ...] = ("transformer",) if self.is_5b else ("transformer_high", "transformer_low")
        by_batch: dict[str, Any] = {}
        for name in names:
            choices = {}
            for batch_count in (1, 2):
                shapes: Any = {
                    "latents": LATENTS,
                    "condition": condition,
                    "prompt_embeds": (batch_count, "rows", 3),
                    "prompt_bias": (batch_count, "rows"),
                }
                choices[batch_count] = transformer_graph(self.runtime, name, 0.25, shapes)
            by_batch[name] = _ByBatch(choices, "prompt_embeds")
        solvers: dict[int, Any] = {
            count: solver_graph(self.runtime, LATENTS, 2, count, keeps=keeps) for count in (1, 2)
        }
        solver = _ByBatch(solvers, "prediction")
        return {**graphs, **by_batch, "guide_and_step": solver}

    def get(self, name: str, geometry: Geometry) -> Any:
        assert geometry == GEOMETRY
        return self.graphs[name]

    def enter(self, geometry: Geometry, stage: Stage, expert: Expert | None = None) -> None:
        assert geometry == GEOMETRY
        self.entered.append((stage, expert, len(self.runtime.calls)))

    def _review(self, *given: Any, **named: Any) -> Review:
        self.reviews.append((given, named))
        return Review(MATCHES, DIAGNOSIS, SUCCESS)

    def _enrich(self, report: MatchReport, *given: Any) -> MatchReport:
        self.enriched_with.append((report, *given))
        return replace(report, similarity=0.125)

    def start(self, asked: PreparedJob, cancel: CancelFlag | None = None) -> Iterator[Event]:
        noise = np.random.default_rng(3).standard_normal(LATENTS, dtype=np.float32)
        self.execution = execution_on(self.runtime, cancel)
        return self.pipeline.generate(asked, lambda _: noise, self.execution)

    def run(self, asked: PreparedJob) -> list[Event]:
        return list(self.start(asked))

    def conditionings(self, name: str = "transformer_high") -> Array:
        """What the first call of a transformer got."""
        return self.graphs[name].first_inputs()["condition"]


class _ByBatch:
    """One graph for each number of predictions, as the one graph of a bundle takes both."""

    def __init__(self, graphs: dict[int, Any], chosen_by: str) -> None:
        self.graphs, self._chosen_by = graphs, chosen_by
        self.spec = next(iter(graphs.values())).spec

    def run(self, inputs: Any, outputs: Any) -> None:
        self.graphs[len(inputs[self._chosen_by].array)].run(inputs, outputs)

    def calls(self) -> list[dict[str, Array]]:
        return [inputs for graph in self.graphs.values() for inputs in graph.inputs]

    def first_inputs(self) -> dict[str, Array]:
        return self.calls()[0]


def of_kind(kind: type[Any], events: Sequence[Event]) -> list[Any]:
    return [event for event in events if isinstance(event, kind)]


def names_of(events: Sequence[Event]) -> list[str]:
    return [event.stage.value if isinstance(event, StageStarted) else type(event).__name__ for event in events]


def test_events_and_calls_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    clips = Clips(monkeypatch)
    events = clips.run(job(job_match_mode=MatchMode.REPORT))
    assert names_of(events) == [
        "match",
        "MatchReport",
        "encode_text",
        "encode_image",
        "denoise",
        *["StepDone"] * 4,
        "decode",
        *["FrameReady"] * 9,
        "JobDone",
    ]
    denoising = ["transformer_high", "guide_and_step"] * 2 + ["transformer_low", "guide_and_step"] * 2
    assert clips.runtime.calls == [*VAE_ENCODER, *denoising, *VAE_DECODER]
    assert clips.entered == [
        (TEXT, None, 0),
        (IMAGE, None, 0),
        (DENOISE, Expert.HIGH_NOISE, 3),
        (DENOISE, Expert.LOW_NOISE, 7),
        (DECODE, None, 11),
    ]


def test_graphs_of_a_stage_are_entered_after_the_stage_is_announced(monkeypatch: pytest.MonkeyPatch) -> None:
    clips = Clips(monkeypatch)
    events = clips.start(job())
    assert next(events) == StageStarted(TEXT)
    assert clips.entered == []
    assert next(events) == StageStarted(IMAGE)
    assert clips.entered == [(TEXT, None, 0)]


# Match


def test_a_pair_is_scored_and_its_report_enriched(monkeypatch: pytest.MonkeyPatch) -> None:
    clips = Clips(monkeypatch)
    asked = job(job_match_mode=MatchMode.REPORT, job_picture_report="the picture report")
    events = clips.run(asked)
    assert clips.scorer is not None
    ((execution, picture, prompt),) = clips.scorer.asked
    assert execution is clips.execution
    assert picture is asked.picture
    assert prompt == "a fox runs"
    ((report, prompt, picture_report, clip, context),) = clips.enriched_with
    assert report.grounding is not None
    assert report.grounding.box == Box(8, 4, 16, 8)  # in pixels of the file, of which the clip shows 32x16
    assert (prompt, picture_report, context) == ("a fox runs", "the picture report", "the context")
    assert (clip.geometry, clip.guidance_scale, clip.negative_prompt) == (GEOMETRY, 3.5, "a dog")
    assert events[1] == replace(report, similarity=0.125)


@pytest.mark.parametrize(("mode", "is_refused"), [(MatchMode.REQUIRE, True), (MatchMode.REPORT, False)])
def test_a_score_below_the_required_one_ends_the_job_before_any_graph_call(
    mode: MatchMode, is_refused: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    clips = Clips(monkeypatch)
    events = clips.start(job(job_match_mode=mode, job_minimum_score=30.5))
    assert names_of([next(events), report := next(events)]) == ["match", "MatchReport"]
    if is_refused:
        with pytest.raises(MatchRefused) as raised:
            next(events)
        assert (raised.value.report, raised.value.minimum_score) == (report, 30.5)
        assert clips.runtime.calls == []
    else:
        assert isinstance(list(events)[-1], JobDone)


def test_a_score_that_equals_the_required_one_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    events = Clips(monkeypatch).run(job(job_match_mode=MatchMode.REQUIRE, job_minimum_score=30.0))
    assert isinstance(events[-1], JobDone)


@pytest.mark.parametrize("mode", [MatchMode.OFF, MatchMode.REPORT])
def test_no_pair_is_scored_where_that_is_off_or_no_scorer_is_there(
    mode: MatchMode, monkeypatch: pytest.MonkeyPatch
) -> None:
    clips = Clips(monkeypatch, has_scorer=mode is MatchMode.OFF)
    events = clips.run(job(job_match_mode=mode))
    assert names_of(events)[0] == "encode_text"
    assert events[-1].match_report is None  # type: ignore[union-attr]
    assert clips.enriched_with == []
    ((_, named),) = clips.reviews
    assert (named["report"], named["subject"]) == (None, None)


# Text


def test_each_expert_gets_the_prompts_that_its_scale_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    clips = Clips(monkeypatch)
    clips.run(job(guidance_scale=1.0, guidance_scale_low_noise=2.0))
    assert clips.prompts.encoded == ["a fox runs", "a dog"]
    high, low = (clips.graphs[f"transformer_{name}"].calls() for name in ("high", "low"))
    assert [len(calls) for calls in (high, low)] == [2, 2]
    assert high[0]["prompt_embeds"][:, :, 0].tolist() == [[1, 3, 4, 0]]
    assert low[0]["prompt_embeds"][:, :, 0].tolist() == [[1, 3, 4, 0], [1, 3, 0, 0]]
    np.testing.assert_allclose(high[0]["prompt_bias"], [[0, 0, 0, np.log(3)]], rtol=1e-6)
    np.testing.assert_allclose(low[0]["prompt_bias"], [[0, 0, 0, np.log(3)], [0, 0, np.log(4), -1e4]], rtol=1e-6)


def test_experts_are_guided_by_their_own_scales(monkeypatch: pytest.MonkeyPatch) -> None:
    clips = Clips(monkeypatch)
    clips.run(job(guidance_scale=2.0, guidance_scale_low_noise=1.0))
    solver = clips.graphs["guide_and_step"]
    assert [len(solver.graphs[count].inputs) for count in (2, 1)] == [4, 0]
    with_prompt, without = solver.graphs[2].inputs[0]["matrix"][2, -2:]
    assert without / with_prompt == pytest.approx((1.0 - 2.0) / 2.0)
    assert [inputs["matrix"][2, -1] for inputs in solver.graphs[2].inputs[2:]] == [0.0, 0.0]  # of no weight


@pytest.mark.parametrize("scale", [1.0, 3.5])
def test_a_model_with_one_transformer_runs_it_at_every_step(scale: float, monkeypatch: pytest.MonkeyPatch) -> None:
    clips = Clips(monkeypatch, is_5b=True)
    events = clips.run(job(guidance_scale=scale, guidance_scale_low_noise=None))
    assert clips.runtime.calls[1:9] == ["transformer", "guide_and_step"] * 4
    assert {event.expert for event in of_kind(StepDone, events)} == {Expert.SINGLE}
    assert clips.prompts.encoded == ["a fox runs"] + (["a dog"] if scale > 1.0 else [])
    assert clips.entered[2] == (DENOISE, Expert.SINGLE, 1)


# Image


def test_the_first_family_is_conditioned_on_mask_and_latents(monkeypatch: pytest.MonkeyPatch) -> None:
    clips = Clips(monkeypatch)
    clips.run(job())
    conditioning = clips.conditionings()
    assert conditioning.shape == (1, 6, 3, 1, 2)
    assert conditioning[0, :4, :, 0, 0].tolist() == [[1.0, 0.0, 0.0]] * 4
    np.testing.assert_allclose(conditioning[0, 4, :, 0, 0], [0.6, 0.6, 100.6], rtol=1e-6)  # 204 of 255 is 0.6


def test_the_second_family_keeps_the_pictures_latent_as_the_first_one_of_the_clip(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clips = Clips(monkeypatch, is_5b=True)
    clips.run(job(guidance_scale_low_noise=None))
    np.testing.assert_allclose(clips.conditionings("transformer"), np.full(LATENT, 0.6), rtol=1e-6)
    assert clips.runtime.calls[:2] == ["vae_encoder_init", "transformer"]
    np.testing.assert_allclose(clips.graphs["vae_decoder_init"].inputs[0]["first"], np.full(LATENT, 0.6), rtol=1e-6)
    last = clips.graphs["guide_and_step"].graphs[2].inputs[-1]
    assert last["latents"].shape == LATENTS
    assert abs(clips.graphs["vae_decoder_step"].inputs[0]["following"].mean() - 0.6) > 1e-3


# Denoise


def test_the_job_sets_steps_and_shift_and_the_bundle_order_boundary_and_training_steps(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clips = Clips(monkeypatch, keeps=False)
    clips.manifest.schedule.train_step_count = 2_000
    clips.manifest.schedule.boundary_timestep = 1_900.0
    events = clips.run(job(step_count=5, shift=3.0))
    expected = flow_schedule(5, 3.0, 2, boundary_timestep=1_900.0, train_step_count=2_000)
    assert [event.expert for event in of_kind(StepDone, events)] == [expected.expert(step) for step in range(5)]
    assert len({expected.expert(step) for step in range(5)}) == 2
    matrices = [inputs["matrix"] for inputs in clips.graphs["guide_and_step"].graphs[2].inputs]
    for step, matrix in enumerate(matrices):
        np.testing.assert_array_equal(matrix, expected.step_matrix(step, 3.5))
    assert clips.graphs["transformer_high"].first_inputs()["timestep"].tolist() == [expected.timesteps[0]]


def test_progress_tells_the_step_and_the_seconds_of_the_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.generate.denoising.time", ticking := Ticking())
    events = of_kind(StepDone, Clips(monkeypatch).run(job()))
    assert ticking.count == 8
    assert [(event.completed_step_count, event.step_count, event.step_seconds) for event in events] == [
        (step, 4, 1.0) for step in (1, 2, 3, 4)
    ]
    assert [event.expert for event in events] == [Expert.HIGH_NOISE] * 2 + [Expert.LOW_NOISE] * 2


class Ticking:
    """A clock that goes on by a second each time that it is read."""

    def __init__(self) -> None:
        self.count = 0

    def perf_counter(self) -> float:
        self.count += 1
        return float(self.count)


@pytest.mark.parametrize(
    ("interval", "has_preview"),
    [
        (0, [False, False, False, False]),
        (1, [True, True, True, True]),
        (2, [False, True, False, True]),
        (3, [False, False, True, False]),
        (5, [False, False, False, False]),
    ],
)
def test_previews_come_at_the_steps_that_were_asked_for(
    interval: int, has_preview: list[bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    events = of_kind(StepDone, Clips(monkeypatch).run(job(job_preview_every_step_count=interval)))
    assert [event.preview is not None for event in events] == has_preview


def test_a_preview_shows_the_estimate_of_the_clip_after_its_step(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[tuple[Array, Any]] = []

    def preview(x0: Array, spec: Any) -> str:
        shown.append((x0, spec))
        return "the preview"

    monkeypatch.setattr("engine.generate.clip_run.preview_of", preview)
    clips = Clips(monkeypatch)
    events = of_kind(StepDone, clips.run(job(job_preview_every_step_count=1)))
    assert [event.preview for event in events] == ["the preview"] * 4
    assert all(spec is clips.manifest.preview for _, spec in shown)
    solver_inputs = clips.graphs["guide_and_step"].graphs[2].inputs
    for (x0, _), following in zip(shown, solver_inputs[1:], strict=False):
        np.testing.assert_array_equal(x0, following["x0_1"])


# Decode


def test_the_last_latents_are_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    clips = Clips(monkeypatch)
    last: list[Array] = []
    run = clips.graphs["guide_and_step"].run

    def record(inputs: Any, outputs: Any) -> None:
        run(inputs, outputs)
        last.append(outputs["next_latents"].to_host())

    monkeypatch.setattr(clips.graphs["guide_and_step"], "run", record)
    frames = of_kind(FrameReady, clips.run(job()))
    decoded = [clips.graphs["vae_decoder_init"].inputs[0]["first"]]
    decoded += [inputs["following"] for inputs in clips.graphs["vae_decoder_step"].inputs]
    np.testing.assert_array_equal(np.concatenate(decoded, axis=2), last[-1])
    assert [frame.index for frame in frames] == list(range(9))


def test_a_cancel_stops_before_the_next_call_in_every_stage(monkeypatch: pytest.MonkeyPatch) -> None:
    for event_count in range(1, 14):  # up to the frame before the last call's
        clips, cancel = Clips(monkeypatch), CancelFlag()
        events = clips.start(job(), cancel)
        for _ in range(event_count):
            next(events)
        made = len(clips.runtime.calls)
        cancel.set()
        with pytest.raises(Cancelled):
            list(events)
        assert len(clips.runtime.calls) == made


# Summary


def test_the_clip_is_reviewed_with_everything_that_is_known_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    clips = Clips(monkeypatch)
    asked = job(job_match_mode=MatchMode.REPORT)
    events = clips.run(asked)
    ((given, named),) = clips.reviews
    watch, reviewed, scorer, execution = given
    assert (scorer, execution) == (clips.scorer, clips.execution)
    assert reviewed is asked
    assert watch.made_with == (9, 8.0)
    assert [id(pixels) for pixels in watch.frames] == [id(frame.pixels) for frame in of_kind(FrameReady, events)]
    assert named == {
        "report": events[1],
        "subject": Box(4, 2, 8, 4),  # in pixels of the clip
        "first_frame_psnr_db": events[-1].first_frame_psnr_db,  # type: ignore[union-attr]
        "default_guidance_scale": 3.5,
        "spec": "the scorer's entry",
        "first_frame_index": 0,
    }


def test_a_pair_whose_subject_was_not_found_has_no_subject(monkeypatch: pytest.MonkeyPatch) -> None:
    clips = Clips(monkeypatch)
    assert clips.scorer is not None
    clips.scorer.report = replace(clips.scorer.report, grounding=None)
    clips.run(job(job_match_mode=MatchMode.REPORT))
    assert clips.reviews[0][1]["subject"] is None


def test_the_summary(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.generate.stopwatch.time", Ticking())
    clips = Clips(monkeypatch)
    events = clips.run(job(job_match_mode=MatchMode.REPORT, job_warnings=("soft",)))
    done = events[-1]
    assert isinstance(done, JobDone)
    # The clock is read at the start, then at both ends of a stage, within decoding once more, and at the end.
    assert done == JobDone(
        stage_seconds={MATCH: 1.0, TEXT: 1.0, IMAGE: 1.0, DENOISE: 1.0, DECODE: 2.0},
        work_seconds=12.0,
        first_frame_seconds=10.0,
        peak_memory_bytes=PEAK_MEMORY_BYTES,
        first_frame_psnr_db=done.first_frame_psnr_db,
        match_report=events[1],  # type: ignore[arg-type]
        warnings=("soft",),
        frame_matches=MATCHES,
        diagnosis=DIAGNOSIS,
        success=SUCCESS,
        step_counts={StepWork.FULL: 4},
    )


def test_the_fidelity_is_that_of_the_first_frame_to_the_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[tuple[Any, Any]] = []

    def fidelity(actual: Any, expected: Any) -> float:
        compared.append((actual, expected))
        return 12.5

    monkeypatch.setattr("engine.generate.clip_run.psnr_db", fidelity)
    asked = job()
    events = Clips(monkeypatch).run(asked)
    assert events[-1].first_frame_psnr_db == 12.5  # type: ignore[union-attr]
    ((actual, expected),) = compared
    assert actual is of_kind(FrameReady, events)[0].pixels
    assert expected is asked.picture


def test_a_stopwatch_times_stages_and_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(100.0)
    monkeypatch.setattr("engine.generate.stopwatch.time", clock)
    stopwatch = Stopwatch()
    clock.seconds = 101.0
    with stopwatch.stage(MATCH):
        clock.seconds = 103.5
    assert stopwatch.stage_seconds == {MATCH: 2.5}
    assert stopwatch.elapsed_seconds == 3.5
