"""The life of a clip on graphs that are Python functions: order of events and calls, what each stage gets, summary."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from engine.api.cancellation import CancelFlag
from engine.api.errors import Cancelled, MatchRefused
from engine.api.events import Expert, FrameReady, JobDone, StageStarted, StepDone
from engine.api.job import MatchMode
from engine.api.media import Box
from engine.api.reuse import StepWork
from engine.generate.schedule import flow_schedule
from engine.generate.stopwatch import Stopwatch
from tests.generate.computed import PEAK_MEMORY_BYTES
from tests.generate.computed_clips import (
    DECODE,
    DENOISE,
    DIAGNOSIS,
    GEOMETRY,
    IMAGE,
    LATENT,
    LATENTS,
    MATCH,
    MATCHES,
    SUCCESS,
    TEXT,
    VAE_DECODER,
    VAE_ENCODER,
    Clips,
    job,
    names_of,
    of_kind,
)
from tests.jobs.scripted import Clock

if TYPE_CHECKING:
    from engine.runtime.base import Array


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
