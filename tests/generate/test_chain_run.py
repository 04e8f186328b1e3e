"""Chains on graphs that are Python functions: what each segment begins from, what it leaves, how a chain ends."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from engine.api.cancellation import CancelFlag
from engine.api.chain import ChainDrift, ChainStop, Seam, SegmentEnd, SegmentStarted
from engine.api.errors import Cancelled, MatchRefused
from engine.api.events import Event, FrameReady, JobDone, SegmentDone
from engine.api.job import MatchMode, PreparedJob, Settings
from engine.api.media import Box
from engine.generate.causal_vae_stream import CausalVaeStream
from engine.generate.image_conditioning import frames_as_latents
from engine.generate.pipeline import Pipeline
from engine.generate.schedule import flow_schedule
from engine.generate.segment_join import FrameEncoder, Opening
from engine.matching.chain_review import ChainReview
from tests.chained_jobs import chain_of
from tests.generate.computed import ComputedRuntime, accumulating_graphs, execution_on
from tests.generate.computed_clips import (
    LATENT,
    LATENTS,
    VAE_DECODER,
    VAE_ENCODER,
    Clips,
    job,
    names_of,
    of_kind,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from engine.api.media import Pixels
    from engine.runtime.base import Array

PROMPTS = ("a fox runs", "the fox sits down", "it sleeps")
DRIFT = ChainDrift(0.5, 0.25)
DENOISING = ["transformer_high", "guide_and_step"] * 2 + ["transformer_low", "guide_and_step"] * 2
GIVEN_ENCODER = ["vae_encoder_init", "vae_encoder_step"]


class Chains(Clips):
    """Clips whose noise is drawn by the seed of each segment; seams and the review of a chain are recorded."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, **of_clips: Any) -> None:
        super().__init__(monkeypatch, **of_clips)
        if self.scorer is not None:
            self.manifest.scorer = SimpleNamespace(diagnosis="the thresholds")
        self.reviewed: list[tuple[Any, ...]] = []
        monkeypatch.setattr("engine.generate.chain_run.segment_end", _end)
        monkeypatch.setattr("engine.generate.chain_run.seam_of", _seam)
        monkeypatch.setattr("engine.generate.chain_summary.review_chain", self._review_chain)

    def _review_chain(self, *given: Any) -> ChainReview:
        self.reviewed.append(given)
        diagnosis: Any = "the chain's diagnosis"
        return ChainReview(DRIFT, diagnosis)

    def start(self, asked: PreparedJob, cancel: CancelFlag | None = None) -> Iterator[Event]:
        self.execution = execution_on(self.runtime, cancel)
        return self.pipeline.generate(asked, noise_of, self.execution)


def noise_of(settings: Settings) -> Array:
    return np.random.default_rng(settings.seed).standard_normal(LATENTS, dtype=np.float32)


def _end(watch: Any, frames: Sequence[Pixels], vectors: Any) -> SegmentEnd:
    assert vectors is None
    return SegmentEnd(tuple(frames), motion_jumps=(float(len(watch.frames)),))


def _seam(end_before: SegmentEnd, watch_after: Any, frame_index: int) -> Seam:
    """Tells what it was made of: frames before, frames after."""
    return Seam(frame_index, len(end_before.frames), len(watch_after.frames), 0.0, 0.0)


def chain(count: int = 3, given_frame_count: int = 5, last: int | None = None, **fields: Any) -> PreparedJob:
    """9 frames and 4 further ones a segment, at 16x8."""
    return chain_of(job(**fields), PROMPTS[:count], given_frame_count, last)


def frames_of(events: Sequence[Event]) -> list[Pixels]:
    return [event.pixels for event in of_kind(FrameReady, events)]


def done_of(events: Sequence[Event]) -> JobDone:
    assert isinstance(events[-1], JobDone)
    return events[-1]


def encoded(frames: Sequence[Pixels]) -> Array:
    """What the computed VAE makes of frames."""
    runtime = ComputedRuntime()
    frame, following = (1, 3, 1, 8, 16), (1, 3, 4, 8, 16)
    graphs: Any = accumulating_graphs(runtime, "encoder", frame, following, LATENT, LATENT)
    return frames_as_latents(frames, CausalVaeStream(execution_on(runtime), *graphs))


def test_events_and_calls_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    chains = Chains(monkeypatch)
    events = chains.run(chain(2, job_match_mode=MatchMode.REPORT))
    of_clip = ["encode_image", "denoise", *["StepDone"] * 4, "decode"]
    assert names_of(events) == [
        *["SegmentStarted", "match", "MatchReport", "encode_text", *of_clip, *["FrameReady"] * 9, "SegmentDone"],
        *["SegmentStarted", "match", "MatchReport", *of_clip, *["FrameReady"] * 4, "SegmentDone"],
        "JobDone",
    ]
    assert of_kind(SegmentStarted, events) == [SegmentStarted(1, 2), SegmentStarted(2, 2)]
    of_first = [*VAE_ENCODER, *DENOISING, *VAE_DECODER]
    assert chains.runtime.calls == [*of_first, *VAE_ENCODER, *GIVEN_ENCODER, *DENOISING, *VAE_DECODER]
    assert [stage.value for stage, *_ in chains.entered].count("encode_text") == 1


def test_frames_and_segments_are_numbered_through(monkeypatch: pytest.MonkeyPatch) -> None:
    chains = Chains(monkeypatch)
    events = chains.run(chain())
    assert [event.index for event in of_kind(FrameReady, events)] == list(range(17))
    segments = of_kind(SegmentDone, events)
    assert [(item.number, item.first_frame_index, item.frame_count) for item in segments] == [
        (1, 0, 9),
        (2, 9, 4),
        (3, 13, 4),
    ]
    assert [item.seam for item in segments] == [None, Seam(9, 5, 4, 0, 0), Seam(13, 5, 4, 0, 0)]
    assert [named["first_frame_index"] for _, named in chains.reviews] == [0, 9, 13]


def test_a_segment_leaves_the_last_frames_of_the_clip_so_far(monkeypatch: pytest.MonkeyPatch) -> None:
    events = Chains(monkeypatch).run(chain())
    frames = frames_of(events)
    first, second, last = (item.end.frames for item in of_kind(SegmentDone, events))
    assert [id(item) for item in first] == [id(item) for item in frames[4:9]]
    assert [id(item) for item in second] == [id(item) for item in frames[8:13]]  # of which the segment made four
    assert last == ()


def test_finished_segments_keep_no_frames(monkeypatch: pytest.MonkeyPatch) -> None:
    events = Chains(monkeypatch).run(chain())
    finished = done_of(events).chain
    assert finished is not None
    assert [item.end.frames for item in finished.segments if item.end is not None] == [(), (), ()]
    assert [item.end.motion_jumps for item in finished.segments if item.end is not None] == [(9.0,), (4.0,), (4.0,)]


def test_the_first_segment_is_the_clip_of_its_own_job(monkeypatch: pytest.MonkeyPatch) -> None:
    alone = frames_of(Chains(monkeypatch).run(job()))
    np.testing.assert_array_equal(frames_of(Chains(monkeypatch).run(chain()))[:9], alone)


# Texts


def test_texts_are_encoded_once_and_each_segment_gets_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    chains = Chains(monkeypatch)
    chains.run(chain())
    assert chains.prompts.encoded == ["a fox runs", "a dog", "the fox sits down", "it sleeps"]
    calls = chains.graphs["transformer_high"].calls()
    assert len(calls) == 6
    assert [item["prompt_embeds"][:, :, 0].tolist() for item in calls[::2]] == [
        [[1, 3, 4, 0], [1, 3, 0, 0]],
        [[3, 3, 4, 4, 0], [1, 3, 0, 0, 0]],
        [[2, 6, 0], [1, 3, 0]],
    ]


def test_a_resumed_chain_encodes_the_texts_of_what_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    segments = of_kind(SegmentDone, Chains(monkeypatch).run(chain()))
    chains = Chains(monkeypatch)
    chains.run(replace(chain(), begins_after=tuple(segments[:1])))
    assert chains.prompts.encoded == ["the fox sits down", "a dog", "it sleeps"]


# Openings


def test_a_segment_is_conditioned_on_the_first_given_frame(monkeypatch: pytest.MonkeyPatch) -> None:
    chains = Chains(monkeypatch)
    given = frames_of(chains.run(chain(2)))[4:9]
    conditioning = chains.graphs["transformer_high"].calls()[-1]["condition"]
    assert conditioning[0, :4, :, 0, 0].tolist() == [[1.0, 0.0, 0.0]] * 4
    mean = encoded(given[:1])[0, 0, 0, 0, 0]
    np.testing.assert_allclose(conditioning[0, 4, :, 0, 0], [mean, mean, mean + 100.0], rtol=1e-6)


def test_given_frames_are_put_back_after_every_step(monkeypatch: pytest.MonkeyPatch) -> None:
    chains = Chains(monkeypatch)
    asked = chain(2)
    solved: list[Array] = []
    run = chains.graphs["guide_and_step"].run

    def record(inputs: Any, outputs: Any) -> None:
        run(inputs, outputs)
        solved.append(outputs["next_latents"].to_host())

    monkeypatch.setattr(chains.graphs["guide_and_step"], "run", record)
    frames = frames_of(chains.run(asked))
    given, noise = encoded(frames[4:9]), noise_of(asked.segments[1].settings)
    sigmas = flow_schedule(4, 5.0, 2).sigmas
    began = [inputs["latents"] for inputs in chains.graphs["guide_and_step"].graphs[2].inputs[4:]]
    np.testing.assert_array_equal(began[0], noise)
    for step in (1, 2, 3):
        expected = (1.0 - sigmas[step]) * given + sigmas[step] * noise[:, :, :2]
        np.testing.assert_allclose(began[step][:, :, :2], expected, rtol=1e-6)
        np.testing.assert_array_equal(began[step][:, :, 2:], solved[4 + step - 1][:, :, 2:])
    init, *steps = (chains.graphs[f"vae_decoder_{name}"].inputs for name in ("init", "step"))
    np.testing.assert_array_equal(init[1]["first"], given[:, :, :1])
    np.testing.assert_array_equal(steps[0][2]["following"], given[:, :, 1:])
    np.testing.assert_array_equal(steps[0][3]["following"], solved[-1][:, :, 2:])


def test_a_single_given_frame_is_the_picture_of_its_segment(monkeypatch: pytest.MonkeyPatch) -> None:
    chains = Chains(monkeypatch, is_5b=True)
    events = chains.run(chain(2, 1, guidance_scale_low_noise=None))
    frames = frames_of(events)
    assert len(frames) == 17
    last = np.full(LATENT, (frames[8] / 127.5 - 1.0).mean())
    np.testing.assert_allclose(chains.graphs["transformer"].calls()[-1]["condition"], last, rtol=1e-5)
    np.testing.assert_allclose(chains.graphs["vae_decoder_init"].inputs[1]["first"], last, rtol=1e-5)
    assert chains.runtime.calls.count("vae_encoder_init") == 2
    began = chains.graphs["guide_and_step"].graphs[2].inputs
    assert not np.allclose(began[5]["latents"][:, :, :1], last)  # the solver's own, and nothing is put back


def test_given_frames_are_not_cached(monkeypatch: pytest.MonkeyPatch) -> None:
    chains = Chains(monkeypatch, picture_cache_bytes=1_000_000)
    for _ in range(2):
        chains.run(chain(2))
    encoder = [name for name in chains.runtime.calls if name.startswith("vae_encoder")]
    of_segment = [*VAE_ENCODER, *GIVEN_ENCODER]
    assert encoder == [*VAE_ENCODER, *of_segment, *of_segment]


def test_another_join_gets_frames_noise_and_encoder(monkeypatch: pytest.MonkeyPatch) -> None:
    class Join:
        given_frame_count = 5

        def begin(self, frames: Sequence[Pixels], noise: Array, encoder: FrameEncoder) -> Opening:
            began.append((frames, noise))
            return Opening(encoder.conditioning_of(frames[-1], noise.shape[2]), lambda latents, sigma: latents + sigma)

    began: list[tuple[Sequence[Pixels], Array]] = []
    chains, asked = Chains(monkeypatch), chain(2)
    model: Any = chains.pipeline._model
    chains.pipeline = Pipeline(replace(model, join=Join()))
    frames = frames_of(chains.run(asked))
    ((given, noise),) = began
    assert [id(item) for item in given] == [id(item) for item in frames[4:9]]
    np.testing.assert_array_equal(noise, noise_of(asked.segments[1].settings))
    mean = encoded(frames[8:9])[0, 0, 0, 0, 0]
    assert chains.graphs["transformer_high"].calls()[-1]["condition"][0, 4, 0, 0, 0] == pytest.approx(mean)


# The end of a segment


@pytest.mark.parametrize(("last", "decoder"), [(8, VAE_DECODER), (4, VAE_DECODER[:2]), (1, VAE_DECODER[:2])])
def test_frames_that_a_chain_does_not_need_are_not_decoded(
    last: int, decoder: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    chains = Chains(monkeypatch, is_5b=True)
    events = chains.run(chain(2, 1, last, guidance_scale_low_noise=None))
    assert len(frames_of(events)) == 9 + last
    assert chains.runtime.calls[-len(decoder) - 1 :] == ["guide_and_step", *decoder]
    assert chains.reviews[1][0][0].made_with == (last, 8.0)  # the watch is of the new frames


def test_the_fidelity_of_a_segment_is_that_of_the_frame_that_it_repeats_first(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[tuple[Any, Any]] = []

    def fidelity(actual: Any, expected: Any) -> float:
        compared.append((actual, expected))
        return float(len(compared))

    monkeypatch.setattr("engine.generate.clip_run.psnr_db", fidelity)
    asked = chain(2)
    events = Chains(monkeypatch).run(asked)
    assert len(compared) == 2
    assert compared[0][1] is asked.picture
    assert compared[1][1] is frames_of(events)[4]
    assert [item.done.first_frame_psnr_db for item in of_kind(SegmentDone, events)] == [1.0, 2.0]
    assert done_of(events).first_frame_psnr_db == 1.0


def test_a_cancel_stops_before_the_next_call_in_every_segment(monkeypatch: pytest.MonkeyPatch) -> None:
    count = len(Chains(monkeypatch).run(chain(2)))
    for event_count in range(1, count - 5):  # up to the event before the last call
        chains, cancel = Chains(monkeypatch), CancelFlag()
        events = chains.start(chain(2), cancel)
        for _ in range(event_count):
            next(events)
        made = len(chains.runtime.calls)
        cancel.set()
        with pytest.raises(Cancelled):
            list(events)
        assert len(chains.runtime.calls) == made


# Resumption


@pytest.mark.parametrize("count", [1, 2, 3])
def test_a_resumed_chain_goes_on_as_without_the_interruption(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = Chains(monkeypatch).run(chain())
    segments = of_kind(SegmentDone, whole)
    resumed = Chains(monkeypatch).run(replace(chain(), begins_after=tuple(segments[:count])))
    rest = whole[whole.index(segments[count - 1]) + 1 :]
    assert names_of(resumed) == names_of(rest)  # no event of the texts, which are encoded again
    first = (9, 13, 17)[count - 1]
    assert [event.index for event in of_kind(FrameReady, resumed)] == list(range(first, 17))
    for actual, pixels in zip(frames_of(resumed), frames_of(whole)[first:], strict=True):
        np.testing.assert_array_equal(actual, pixels)
    covered, complete = done_of(resumed).chain, done_of(whole).chain
    assert covered is not None
    assert complete is not None
    assert [item.number for item in covered.segments] == [item.number for item in complete.segments]
    assert [item.end.frames for item in covered.segments if item.end is not None] == [(), (), ()]
    assert done_of(resumed).step_counts == done_of(whole).step_counts
    assert done_of(resumed).frame_matches == done_of(whole).frame_matches


def test_a_segment_without_the_frames_before_it_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    first = of_kind(SegmentDone, Chains(monkeypatch).run(chain()))[0]
    for end, count in ((replace(first.end, frames=first.end.frames[1:]), 4), (None, 0)):
        chains = Chains(monkeypatch)
        with pytest.raises(ValueError, match=f"^segment 2 needs the last 5 frames before it, not {count}$"):
            chains.run(replace(chain(), begins_after=(replace(first, end=end),)))
        assert chains.runtime.calls == []


# Match


def test_a_later_segment_is_scored_by_the_frame_that_it_begins_from(monkeypatch: pytest.MonkeyPatch) -> None:
    chains = Chains(monkeypatch)
    asked = chain(2, job_match_mode=MatchMode.REPORT, job_picture_report="the picture report", job_warnings=("soft",))
    events = chains.run(asked)
    assert chains.scorer is not None
    (_, first, _), (_, second, prompt) = chains.scorer.asked
    assert first is asked.picture
    assert second is frames_of(events)[8]
    assert prompt == "the fox sits down"
    assert [given[2] for given in chains.enriched_with] == ["the picture report", None]
    assert [given[0].grounding.box for given in chains.enriched_with] == [Box(8, 4, 16, 8), Box(4, 2, 8, 4)]
    (_, reviewed, *_), _ = chains.reviews[1]
    assert (reviewed.prompt, reviewed.settings.crop) == ("the fox sits down", Box(0, 0, 16, 8))
    assert reviewed.settings.seed == asked.settings.seed + 1
    assert [item.done.warnings for item in of_kind(SegmentDone, events)] == [(), ()]
    assert done_of(events).warnings == ("soft",)
    assert done_of(events).match_report is events[2]


def test_a_later_segment_that_matches_too_little_ends_the_chain(monkeypatch: pytest.MonkeyPatch) -> None:
    chains = Chains(monkeypatch)
    events = chains.start(chain(job_match_mode=MatchMode.REQUIRE, job_minimum_score=30.0))
    made = []
    for event in events:
        made.append(event)
        if isinstance(event, SegmentDone):
            assert chains.scorer is not None
            chains.scorer.report = replace(chains.scorer.report, score=29.0)
    assert names_of(made)[-5:] == ["SegmentDone", "SegmentStarted", "match", "MatchReport", "JobDone"]
    finished = done_of(made).chain
    assert finished is not None
    assert [item.number for item in finished.segments] == [1]
    assert [item.end.frames for item in finished.segments if item.end is not None] == [()]
    assert finished.stop == ChainStop(2, made[-2], 30.0)  # type: ignore[arg-type]
    assert chains.runtime.calls == [*VAE_ENCODER, *DENOISING, *VAE_DECODER]


def test_a_first_segment_that_matches_too_little_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    chains = Chains(monkeypatch)
    events = chains.start(chain(job_match_mode=MatchMode.REQUIRE, job_minimum_score=30.5))
    assert names_of([next(events) for _ in range(3)]) == ["SegmentStarted", "match", "MatchReport"]
    with pytest.raises(MatchRefused):
        next(events)
    assert chains.runtime.calls == []


# Summary


def test_a_chain_is_reviewed_with_its_segments_and_their_prompts(monkeypatch: pytest.MonkeyPatch) -> None:
    chains = Chains(monkeypatch)
    events = chains.run(chain())
    ((segments, prompts, thresholds),) = chains.reviewed
    assert [item.number for item in segments] == [1, 2, 3]
    assert prompts == list(PROMPTS)
    assert thresholds == "the thresholds"
    finished = done_of(events).chain
    assert finished is not None
    assert (finished.drift, finished.stop) == (DRIFT, None)
    assert done_of(events).diagnosis == "the chain's diagnosis"  # type: ignore[comparison-overlap]


def test_a_chain_of_a_bundle_without_a_scorer_is_judged_by_default_thresholds(monkeypatch: pytest.MonkeyPatch) -> None:
    chains = Chains(monkeypatch, has_scorer=False)
    chains.run(chain(2))
    assert chains.reviewed[0][2] is None


def test_a_chain_is_not_reviewed_from_given_frames(monkeypatch: pytest.MonkeyPatch) -> None:
    chains = Chains(monkeypatch)
    with pytest.raises(ValueError, match=r"^a chain cannot be reviewed without being made"):
        chains.pipeline.review(chain(), [], execution_on(chains.runtime))
