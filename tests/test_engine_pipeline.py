"""A job through the engine, graph call by graph call: order, cancelling, caching, refusals and the summary."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np
import pytest

from engine.api.cancellation import CancelFlag
from engine.api.errors import Cancelled, GraphFailed, MatchRefused, NotCompiled, ScorerMissing
from engine.api.events import Event, Expert, FrameReady, JobDone, Stage, StageStarted, StepDone
from engine.api.job import Job, MatchMode, MatchPolicy, PreparedJob, SamplingSpec, VideoSpec
from engine.api.match_report import MatchReport
from engine.api.media import Image
from engine.bundle.graph_spec import GraphSpec
from engine.generate.bundle_engine import BundleEngine
from engine.generate.decoding import MAX_PSNR_DB, psnr_db
from engine.generate.loading import load_bundle
from engine.runtime.base import Array, Graph, Tensor
from engine.runtime.ort import OrtRuntime

_ENCODE = ["vae_encoder_init", "vae_encoder_step", "vae_encoder_step"]
_DENOISE = ["transformer_high", "guide_and_step", "transformer_low", "guide_and_step"]
_DECODE = ["vae_decoder_init", "vae_decoder_step", "vae_decoder_step"]
# Nine frames are three latent frames; two steps are one of each expert.
_ALL_CALLS = ["scorer_image", "scorer_text", "text_encoder", "text_encoder", *_ENCODE, *_DENOISE, *_DECODE]


class RecordingGraph:
    """A graph that tells its runtime of each call, before and after."""

    def __init__(self, graph: Graph, runtime: RecordingRuntime) -> None:
        self._graph, self._runtime = graph, runtime

    @property
    def spec(self) -> GraphSpec:
        return self._graph.spec

    def run(self, inputs: Mapping[str, Tensor], outputs: Mapping[str, Tensor]) -> None:
        self._runtime.calls.append(self.spec.stage)
        if "prediction" in outputs:
            self._runtime.prediction_row_counts.append(len(outputs["prediction"].to_host()))
        self._graph.run(inputs, outputs)
        self._runtime.after_call()

    def prefetch(self) -> None:
        self._graph.prefetch()

    def unload(self) -> None:
        self._graph.unload()


class RecordingRuntime(OrtRuntime):
    """ONNX Runtime that writes down which graphs were called, and does ``after_call`` after each call."""

    def __init__(self) -> None:
        super().__init__(thread_count=1)
        self.calls: list[str] = []
        self.prediction_row_counts: list[int] = []
        self.after_call: Callable[[], None] = lambda: None

    def load(self, folder: Path, spec: GraphSpec) -> RecordingGraph:  # type: ignore[override]
        return RecordingGraph(super().load(folder, spec), self)


class Bench:
    """An engine on a recording runtime, and a picture for its jobs."""

    def __init__(self, bundle: Path, picture: bytes, text_cache_entry_count: int = 8) -> None:
        self.runtime = RecordingRuntime()
        self.engine = BundleEngine(load_bundle(bundle, self.runtime), text_cache_entry_count)
        self._picture = picture

    def prepare(
        self,
        prompt: str = "a white cat jumps to the left",
        *,
        width_px: int = 64,
        sampling: SamplingSpec = SamplingSpec(step_count=2, seed=7),
        match: MatchPolicy = MatchPolicy(),
        preview_every_step_count: int = 0,
    ) -> PreparedJob:
        video = VideoSpec(width_px, 48, 9)
        job = Job(Image(self._picture), prompt, "a dog", video, sampling, match, preview_every_step_count)
        return self.engine.prepare(job)

    def start(self, job: PreparedJob, cancel: CancelFlag | None = None) -> Iterator[Event]:
        self.runtime.calls.clear()
        self.runtime.prediction_row_counts.clear()
        return self.engine.generate(job, cancel or CancelFlag())

    def run(self, job: PreparedJob) -> list[Event]:
        return list(self.start(job))


@pytest.fixture
def bench(tiny_bundle: Path, png: Callable[..., bytes]) -> Bench:
    return Bench(tiny_bundle, png(80, 50))


def _frames(events: list[Event]) -> Array:
    return np.stack([event.pixels for event in events if isinstance(event, FrameReady)])


def _done(events: list[Event]) -> JobDone:
    assert isinstance(events[-1], JobDone)
    return events[-1]


def _advance_to(kind: type[Event], events: Iterator[Event]) -> Event:
    return next(event for event in events if isinstance(event, kind))


def test_events_come_in_the_order_of_the_stages(bench: Bench) -> None:
    events = bench.run(bench.prepare())
    report = events[1]
    assert isinstance(report, MatchReport)
    assert [event for event in events if isinstance(event, StageStarted | MatchReport)] == [
        StageStarted(Stage.MATCH),
        report,
        StageStarted(Stage.ENCODE_TEXT),
        StageStarted(Stage.ENCODE_IMAGE),
        StageStarted(Stage.DENOISE),
        StageStarted(Stage.DECODE),
    ]
    assert [type(event) for event in events[5:]] == [StepDone, StepDone, StageStarted, *[FrameReady] * 9, JobDone]
    steps = [event for event in events if isinstance(event, StepDone)]
    assert [(step.completed_step_count, step.step_count, step.expert) for step in steps] == [
        (1, 2, Expert.HIGH_NOISE),
        (2, 2, Expert.LOW_NOISE),
    ]
    assert [event.index for event in events if isinstance(event, FrameReady)] == list(range(9))
    assert bench.runtime.calls == [*_ALL_CALLS, "scorer_image"]  # and the sampled frames, in one call


def test_a_clip_is_reviewed_after_its_last_frame(bench: Bench) -> None:
    done = bench.run(bench.prepare())[-1]
    assert isinstance(done, JobDone)
    report = done.match_report
    assert report is not None
    assert report.prompt_report is not None
    assert report.picture_report is not None
    assert report.crops == ()  # the picture is cut already
    assert [match.frame_index for match in done.frame_matches] == [0, 1, 2, 3, 5, 6, 7, 8]
    assert all(0.0 <= match.score <= 100.0 for match in done.frame_matches)
    assert done.diagnosis is not None
    likeness = done.diagnosis.metrics.likeness
    assert likeness is not None
    assert 0.0 <= likeness.subject_consistency <= 1.0


def test_the_first_frame_leaves_before_the_second_latent_frame_is_decoded(bench: Bench) -> None:
    events = bench.start(bench.prepare())
    frame = _advance_to(FrameReady, events)
    assert isinstance(frame, FrameReady)
    assert frame.index == 0
    assert bench.runtime.calls == _ALL_CALLS[:-2]
    next(events)
    assert bench.runtime.calls == _ALL_CALLS[:-1]  # four frames of one call
    assert [event.index for event in events if isinstance(event, FrameReady)] == list(range(2, 9))


@pytest.mark.parametrize("width_px", [48, 64])
def test_frames_have_the_size_that_was_asked_for(bench: Bench, width_px: int) -> None:
    frames = _frames(bench.run(bench.prepare(width_px=width_px)))
    assert frames.shape == (9, 48, width_px, 3)
    assert frames.dtype == np.uint8


@pytest.mark.parametrize("kind", [StageStarted, MatchReport, StepDone, FrameReady])
def test_a_cancel_between_two_events_stops_the_next_call(bench: Bench, kind: type[Event]) -> None:
    job, cancel = bench.prepare(), CancelFlag()
    events = bench.start(job, cancel)
    _advance_to(kind, events)
    cancel.set()
    before = list(bench.runtime.calls)
    with pytest.raises(Cancelled):
        list(events)
    assert bench.runtime.calls == before
    assert len(before) < len(_ALL_CALLS)
    assert len(_frames(bench.run(job))) == 9


def test_a_cancel_during_any_call_makes_it_the_last(bench: Bench) -> None:
    job = bench.prepare()
    expected = _frames(bench.run(job))
    cached = [call for call in _ALL_CALLS if call not in {"text_encoder", "scorer_image", "scorer_text"}]
    for last in range(1, len(cached)):
        cancel = CancelFlag()
        bench.runtime.after_call = lambda cancel=cancel, last=last: (  # type: ignore[misc]
            cancel.set() if len(bench.runtime.calls) == last else None
        )
        with pytest.raises(Cancelled):
            list(bench.start(job, cancel))
        assert bench.runtime.calls == cached[:last]
    bench.runtime.after_call = lambda: None
    np.testing.assert_array_equal(_frames(bench.run(job)), expected)


@pytest.mark.parametrize("last", [1, 2])
def test_a_cancel_while_the_pair_is_scored_makes_that_call_the_last(bench: Bench, last: int) -> None:
    cancel = CancelFlag()
    bench.runtime.after_call = lambda: cancel.set() if len(bench.runtime.calls) == last else None
    with pytest.raises(Cancelled):
        list(bench.start(bench.prepare(), cancel))
    assert bench.runtime.calls == ["scorer_image", "scorer_text"][:last]


def test_a_pair_that_was_scored_costs_no_second_encoder_run(bench: Bench) -> None:
    first = next(event for event in bench.run(bench.prepare()) if isinstance(event, MatchReport))
    again = next(event for event in bench.run(bench.prepare()) if isinstance(event, MatchReport))
    assert not {"scorer_image", "scorer_text"} & set(bench.runtime.calls)
    assert again == first


def test_closing_the_events_early_leaves_the_engine_ready(bench: Bench) -> None:
    job = bench.prepare()
    expected = _frames(bench.run(job))
    for kind in (StageStarted, StepDone, FrameReady):
        events = bench.engine.generate(job, CancelFlag())
        _advance_to(kind, events)
        events.close()  # type: ignore[attr-defined]
        np.testing.assert_array_equal(_frames(bench.run(job)), expected)


def test_a_failed_call_leaves_the_engine_ready(bench: Bench) -> None:
    job = bench.prepare()
    expected = _frames(bench.run(job))
    noise_of_another_size = np.zeros((1, 16, 3, 6, 4), np.float32)
    with pytest.raises(GraphFailed, match=r"transformer_high_64x48x9\.onnx failed"):
        list(bench.engine.generate_from_noise(job, noise_of_another_size, CancelFlag()))
    np.testing.assert_array_equal(_frames(bench.run(job)), expected)


def test_previews_come_at_the_steps_that_were_asked_for(bench: Bench) -> None:
    job = bench.prepare(sampling=SamplingSpec(step_count=5, seed=1), preview_every_step_count=2)
    steps = [event for event in bench.run(job) if isinstance(event, StepDone)]
    assert [step.completed_step_count for step in steps if step.preview is not None] == [2, 4]
    for step in steps:
        if step.preview is not None:
            assert step.preview.shape == (6, 8, 3)  # 48 x 64 pixels, eight a cell
            assert step.preview.dtype == np.uint8


@pytest.mark.parametrize(
    ("high", "low", "row_counts", "encoded_prompt_count"),
    [(1.0, 1.0, [1, 1], 1), (1.0, 4.0, [1, 2], 2), (3.5, 1.0, [2, 1], 2), (3.5, 4.0, [2, 2], 2)],
)
def test_an_expert_without_guidance_predicts_once_and_reads_no_negative_prompt(
    bench: Bench, high: float, low: float, row_counts: list[int], encoded_prompt_count: int
) -> None:
    bench.run(bench.prepare(sampling=SamplingSpec(2, high, low, seed=3)))
    assert bench.runtime.prediction_row_counts == row_counts
    assert bench.runtime.calls.count("text_encoder") == encoded_prompt_count


def test_a_prompt_is_encoded_once(bench: Bench) -> None:
    first = bench.run(bench.prepare())
    assert bench.runtime.calls.count("text_encoder") == 2
    second = bench.run(bench.prepare(" a white  cat jumps\nto the left "))  # the same once it is cleaned
    assert "text_encoder" not in bench.runtime.calls
    np.testing.assert_array_equal(_frames(second), _frames(first))


def test_the_prompt_that_was_not_used_for_longest_is_forgotten_first(
    tiny_bundle: Path, png: Callable[..., bytes]
) -> None:
    bench = Bench(tiny_bundle, png(64, 48), text_cache_entry_count=2)
    was_encoded = []
    for prompt in ("cat", "dog", "cat", "sea", "cat", "dog"):  # the sea drives out the dog
        bench.run(bench.prepare(prompt, sampling=SamplingSpec(1, 1.0, 1.0, seed=0)))
        was_encoded.append("text_encoder" in bench.runtime.calls)
    assert was_encoded == [True, True, False, True, False, True]


def test_a_match_below_the_required_score_is_refused_before_any_other_work(bench: Bench) -> None:
    events = bench.start(bench.prepare(match=MatchPolicy(MatchMode.REQUIRE, minimum_score=100.0)))
    report = _advance_to(MatchReport, events)
    assert isinstance(report, MatchReport)
    with pytest.raises(MatchRefused) as refused:
        next(events)
    assert (refused.value.score, refused.value.minimum_score) == (report.score, 100.0)
    assert bench.runtime.calls == ["scorer_image", "scorer_text"]


def test_a_match_at_the_required_score_is_generated(bench: Bench) -> None:
    report = _done(bench.run(bench.prepare())).match_report
    assert report is not None
    match = MatchPolicy(MatchMode.REQUIRE, minimum_score=report.score)
    assert _done(bench.run(bench.prepare(match=match))).match_report == report


def test_a_job_without_a_match_calls_no_scorer(bench: Bench) -> None:
    events = bench.run(bench.prepare(match=MatchPolicy(MatchMode.OFF)))
    assert bench.runtime.calls == _ALL_CALLS[2:]
    assert StageStarted(Stage.MATCH) not in events
    assert _done(events).match_report is None
    assert set(_done(events).stage_seconds) == set(Stage) - {Stage.MATCH}


def test_the_summary_accounts_for_every_stage(bench: Bench) -> None:
    events = bench.run(bench.prepare())
    done = _done(events)
    assert set(done.stage_seconds) == set(Stage)
    assert min(done.stage_seconds.values()) > 0
    assert sum(done.stage_seconds.values()) <= done.work_seconds
    before_decode = sum(seconds for stage, seconds in done.stage_seconds.items() if stage is not Stage.DECODE)
    assert before_decode < done.first_frame_seconds < done.work_seconds
    assert done.peak_memory_bytes == bench.runtime.peak_memory_bytes()
    assert done.match_report is events[1]


def test_the_summary_tells_how_true_the_first_frame_is_to_the_picture(bench: Bench) -> None:
    job = bench.prepare()
    events = bench.run(job)
    difference = _frames(events)[0].astype(float) - job.picture
    by_hand = 20 * np.log10(255) - 10 * np.log10(np.mean(difference**2))
    assert _done(events).first_frame_psnr_db == pytest.approx(by_hand, abs=1e-9)


def test_two_equal_pictures_have_the_highest_fidelity() -> None:
    black, grey = np.zeros((4, 4, 3), np.uint8), np.full((4, 4, 3), 255, np.uint8)
    assert psnr_db(black, black) == MAX_PSNR_DB
    assert psnr_db(grey, black) == 0.0


def test_warnings_of_the_preparation_reach_the_summary(tiny_bundle: Path, png: Callable[..., bytes]) -> None:
    bench = Bench(tiny_bundle, png(20, 15))
    job = bench.prepare()
    assert "expect a soft clip" in job.warnings[0]
    assert _done(bench.run(job)).warnings == job.warnings


def test_capabilities_are_the_bundles(bench: Bench) -> None:
    capabilities = bench.engine.capabilities()
    assert [(item.width_px, item.height_px, item.frame_count) for item in capabilities.geometries] == [
        (64, 48, 9),
        (48, 48, 9),
    ]
    assert capabilities.match_supported
    assert capabilities.notices == ("The weights are random: clips are noise.",)
    assert capabilities.runtime.startswith("onnxruntime ")
    assert capabilities == bench.engine.capabilities()
    with pytest.raises(NotCompiled):
        bench.prepare(width_px=80)


def test_a_closed_engine_says_so(bench: Bench, png: Callable[..., bytes]) -> None:
    job = bench.prepare()
    bench.engine.close()
    with pytest.raises(RuntimeError, match="the engine is closed"):
        bench.engine.generate(job, CancelFlag())
    with pytest.raises(ScorerMissing):
        bench.engine.score_match(Image(png(8, 8)), "a cat")
