"""Chains on graphs that are Python functions: texts, numbers, match, resumption, and how a chain ends."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from engine.api.cancellation import CancelFlag
from engine.api.chain import ChainStop, Seam, SegmentStarted
from engine.api.errors import Cancelled, MatchRefused
from engine.api.events import FrameReady, SegmentDone
from engine.api.job import MatchMode
from engine.api.media import Box
from tests.generate.computed import execution_on
from tests.generate.computed_chains import (
    DENOISING,
    DRIFT,
    GIVEN_ENCODER,
    PROMPTS,
    Chains,
    chain,
    done_of,
    frames_of,
)
from tests.generate.computed_clips import (
    VAE_DECODER,
    VAE_ENCODER,
    job,
    names_of,
    of_kind,
)

if TYPE_CHECKING:
    pass


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
