"""Chains of the fake engine: their events, figures and graph calls, each computed by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from engine.api.cancellation import CancelFlag
from engine.api.chain import ChainDrift, Seam, SegmentStarted
from engine.api.errors import Cancelled, MatchRefused
from engine.api.events import Event, FrameReady, JobDone, SegmentDone, Stage, StageStarted, StepDone
from engine.api.job import MatchMode, PreparedJob
from engine.api.match_report import MatchReport
from engine.api.reuse import StepWork
from engine.testing.fake_clip import fake_success
from engine.testing.fake_engine import FakeEngine
from tests.jobs.chains import SENTENCES, prepared_chain

_MATCHED = replace(prepared_chain(), match_mode=MatchMode.REPORT)
_CALLS = ["encode_image", *(f"denoise {step}" for step in range(1, 5)), "decode 0", "decode 1", "decode 2"]


def events_of(job: PreparedJob, engine: FakeEngine | None = None) -> list[Event]:
    return list((engine or FakeEngine()).generate(job, CancelFlag()))


def names(events: list[Event]) -> list[str]:
    """Short names: ``segment 1``, ``match``, ``step``, ``frame``; frames and steps that follow each other once."""
    found: list[str] = []
    for event in events:
        match event:
            case SegmentStarted():
                name = f"segment {event.number} of {event.segment_count}"
            case StageStarted():
                name = event.stage.value
            case SegmentDone():
                name = f"end {event.number}"
            case _:
                name = {MatchReport: "report", StepDone: "step", FrameReady: "frame", JobDone: "done"}[type(event)]
        if found[-1:] != [name]:
            found.append(name)
    return found


def in_segment(number: int, *, is_matched: bool) -> list[str]:
    match = ["match", "report"] if is_matched else []
    text = ["encode_text"] if number == 1 else []
    rest = ["encode_image", "denoise", "step", "decode", "frame"]
    return [f"segment {number} of 3", *match, *text, *rest, f"end {number}"]


def colours(events: list[Event]) -> list[tuple[int, ...]]:
    return [tuple(map(int, event.pixels[-1, -1])) for event in events if isinstance(event, FrameReady)]


def done_of(events: list[Event]) -> JobDone:
    (done,) = (event for event in events if isinstance(event, JobDone))
    return done


@pytest.mark.parametrize("job", [prepared_chain(), _MATCHED])
def test_every_segment_has_its_events_and_the_text_is_encoded_once(job: PreparedJob) -> None:
    engine = FakeEngine()
    is_matched = job.match_mode is not MatchMode.OFF
    events = events_of(job, engine)
    assert names(events) == [
        *(name for number in (1, 2, 3) for name in in_segment(number, is_matched=is_matched)),
        "done",
    ]
    match = ["match"] if is_matched else []
    assert engine.graph_calls == [*match, "encode_text", *_CALLS, *match, *_CALLS, *match, *_CALLS]


def test_frames_are_numbered_through_and_have_seed_and_sentence_of_their_segment() -> None:
    events = events_of(prepared_chain())
    assert [event.index for event in events if isinstance(event, FrameReady)] == list(range(17))
    seeds, lengths = [7] * 9 + [8] * 4 + [9] * 4, [10] * 9 + [16] * 4 + [10] * 4
    assert [len(sentence) for sentence in SENTENCES] == [10, 16, 10]
    assert colours(events) == [(seeds[index] + index, index, lengths[index]) for index in range(17)]


def test_a_segment_tells_its_place_its_seam_and_what_it_leaves() -> None:
    first, second, third = (event for event in events_of(_MATCHED) if isinstance(event, SegmentDone))
    places = [(item.number, item.first_frame_index, item.frame_count) for item in (first, second, third)]
    assert places == [(1, 0, 9), (2, 9, 4), (3, 13, 4)]
    assert first.seam is None
    assert second.seam == Seam(9, 0.03, 0.02, 0.002, 0.001)
    assert third.seam is not None
    assert third.seam.frame_index == 13
    assert first.end is not None
    assert [tuple(map(int, frame[0, 0])) for frame in first.end.frames] == [(7 + i, i, 10) for i in range(4, 9)]
    assert second.end is not None
    colours_left = [tuple(map(int, frame[0, 0])) for frame in second.end.frames]
    assert colours_left == [(7 + 8, 8, 10), *((8 + i, i, 16) for i in range(9, 13))]  # frame 8 is of the first segment
    assert second.end.sample_indices == (9,)
    assert np.array_equal(second.end.subject, [[1.0, 0.0]])  # type: ignore[arg-type]
    assert np.array_equal(second.end.content, [[0.0, 1.0]])  # type: ignore[arg-type]
    assert third.end is not None
    assert third.end.frames == ()
    scores = [event.done.match_report.score for event in (first, second, third) if event.done.match_report]
    assert scores == [30.0, 40.0, 30.0]
    assert [(item.frame_index, item.score) for item in second.done.frame_matches] == [(9, 40.0), (12, 40.0)]
    assert second.done.success == fake_success(8)
    assert first.done.work_seconds == 5.0
    assert second.done.work_seconds == 4.0  # no text


def test_the_summary_covers_all_segments() -> None:
    done = done_of(events_of(replace(_MATCHED, warnings=("slow",))))
    assert done.stage_seconds == {stage: 1.0 if stage is Stage.ENCODE_TEXT else 3.0 for stage in Stage}
    assert (done.work_seconds, done.first_frame_seconds) == (13.0, 4.0)
    assert done.warnings == ("slow",)
    assert [item.frame_index for item in done.frame_matches] == [0, 8, 9, 12, 13, 16]
    assert done.match_report is not None
    assert done.match_report.score == 30.0
    assert done.success == fake_success(7)
    assert done.step_counts == {StepWork.FULL: 12}
    assert done.chain is not None
    assert [segment.number for segment in done.chain.segments] == [1, 2, 3]
    assert (done.chain.drift, done.chain.stop) == (ChainDrift(0.9, 0.1), None)


def test_a_chain_that_is_not_scored_has_no_drift_and_no_success() -> None:
    done = done_of(events_of(prepared_chain()))
    assert done.chain is not None
    assert done.chain.drift == ChainDrift(None, None)
    assert (done.success, done.match_report, done.frame_matches) == (None, None, ())


@pytest.mark.parametrize("complete_count", [1, 2, 3])
def test_a_chain_that_begins_after_complete_segments_makes_the_others_with_the_same_events(complete_count: int) -> None:
    whole = events_of(_MATCHED)
    complete = [event for event in whole if isinstance(event, SegmentDone)][:complete_count]
    engine = FakeEngine()
    rest = events_of(replace(_MATCHED, begins_after=tuple(complete)), engine)
    following = whole[whole.index(complete[-1]) + 1 :]
    assert names(rest) == names(following)
    assert colours(rest) == colours(following)
    made = 3 - complete_count
    assert engine.graph_calls == (["encode_text"] if made else []) + ["match", *_CALLS] * made
    done, expected = done_of(rest), done_of(whole)
    assert replace(done, chain=None) == replace(expected, chain=None)
    assert done.chain is not None
    kept = [replace(segment, end=None) for segment in done.chain.segments[:complete_count]]
    assert kept == [replace(segment, end=None) for segment in complete]
    assert [segment.end.frames for segment in done.chain.segments if segment.end] == [(), (), ()]


def test_a_chain_does_not_begin_without_the_frames_that_it_repeats() -> None:
    first = next(event for event in events_of(_MATCHED) if isinstance(event, SegmentDone))
    for segment in (first.without_frames(), replace(first, end=None)):
        with pytest.raises(ValueError, match="needs 5 frames before it, not 0"):
            events_of(replace(_MATCHED, begins_after=(segment,)))


def test_a_later_sentence_that_matches_too_little_ends_the_chain() -> None:
    job = replace(prepared_chain("a red fox runs", "a fox jumps", "a red fox sits"), minimum_score=35.0)
    events = events_of(replace(job, match_mode=MatchMode.REQUIRE))
    assert names(events) == [*in_segment(1, is_matched=True), "segment 2 of 3", "match", "report", "done"]
    chain = done_of(events).chain
    assert chain is not None
    assert [segment.number for segment in chain.segments] == [1]
    assert chain.stop is not None
    assert (chain.stop.number, chain.stop.report.score, chain.stop.minimum_score) == (2, 30.0, 35.0)


def test_a_first_sentence_that_matches_too_little_refuses_the_job() -> None:
    job = replace(prepared_chain(), minimum_score=35.0, match_mode=MatchMode.REQUIRE)
    with pytest.raises(MatchRefused):
        events_of(job)


def test_a_cut_segment_decodes_what_the_clip_needs() -> None:
    job = prepared_chain("a fox runs", "a fox jumps")
    longer = replace(job.segments[1], settings=replace(job.segments[1].settings, frame_count=17))
    engine = FakeEngine()
    events = events_of(replace(job, segments=(job.segments[0], longer)), engine)
    assert len(colours(events)) == 13
    assert engine.graph_calls[-3:] == ["decode 0", "decode 1", "decode 2"]


def test_a_chain_obeys_a_cancel_in_any_segment() -> None:
    flag, engine = CancelFlag(), FakeEngine()
    events = engine.generate(prepared_chain(), flag)
    while not isinstance(next(events), SegmentDone):
        pass
    flag.set()
    with pytest.raises(Cancelled):
        list(events)
    assert engine.graph_calls == ["encode_text", *_CALLS]
