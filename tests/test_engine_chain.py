"""A chain through the engine, graph call by graph call, on real bundles of both families, also in a worker process."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from engine import launch_worker_engine, open_engine
from engine.api.cancellation import CancelFlag
from engine.api.chain import Seam
from engine.api.engine import Engine
from engine.api.errors import BundleInvalid, Cancelled
from engine.api.events import Event, FrameReady, JobDone, SegmentDone, Stage, StageStarted, StepDone
from engine.api.job import Job, MatchMode, PreparedJob, SamplingSpec, VideoSpec
from engine.api.media import Image
from engine.api.settings import EngineSettings
from tests.chained_jobs import chain_of
from tests.recorded_engine import ALL_CALLS, RecordedEngine, frames_of, summary_of
from tests.watched_engine import WatchedEngine, least_bytes

_PROMPTS = ("a white cat jumps to the left", "the cat sits down", "the cat sleeps")
_ENCODE, _DENOISE, _DECODE = ALL_CALLS[4:7], ALL_CALLS[7:11], ALL_CALLS[11:]
_GIVEN = ["vae_encoder_init", "vae_encoder_step"]


@pytest.fixture
def recorded(tiny_bundle: Path, png: Callable[..., bytes]) -> RecordedEngine:
    """An engine whose segments are given five frames, so that they encode and put back two latent frames."""
    return RecordedEngine(tiny_bundle, png(80, 50), given_frame_count=5)


def _chain(recorded: RecordedEngine) -> PreparedJob:
    return chain_of(recorded.prepare(), _PROMPTS, 5)


def _segments(events: Sequence[Event]) -> list[SegmentDone]:
    return [event for event in events if isinstance(event, SegmentDone)]


def test_graph_calls_of_a_chain(recorded: RecordedEngine) -> None:
    assert recorded.engine.capabilities().given_frame_count == 5
    events = recorded.run(_chain(recorded))
    segment = [*_ENCODE, *_GIVEN, *_DENOISE, *_DECODE]
    graphs = [name for name in recorded.runtime.calls if not name.startswith("scorer_")]
    assert graphs == [*["text_encoder"] * 4, *ALL_CALLS[4:], *segment, *segment]
    frames = [event for event in events if isinstance(event, FrameReady)]
    assert [event.index for event in frames] == list(range(17))
    texts = [event for event in events if event == StageStarted(Stage.ENCODE_TEXT)]
    assert len(texts) == 1


def test_the_first_segment_is_the_clip_of_its_own_job(recorded: RecordedEngine) -> None:
    alone = frames_of(recorded.run(recorded.prepare()))
    np.testing.assert_array_equal(frames_of(recorded.run(_chain(recorded)))[:9], alone)


def test_the_summary_of_a_chain(recorded: RecordedEngine) -> None:
    events = recorded.run(_chain(recorded))
    done, segments = summary_of(events), _segments(events)
    assert done.chain is not None
    assert done.chain.stop is None
    assert done.chain.drift.subject_consistency is not None
    assert [item.done for item in done.chain.segments] == [item.done for item in segments]
    assert segments[0].seam is None
    assert [item.seam.frame_index for item in segments[1:] if isinstance(item.seam, Seam)] == [9, 13]
    indices = [match.frame_index for match in done.frame_matches]
    assert indices == sorted(set(indices))
    assert (indices[0], indices[-1]) == (0, 16)
    assert done.work_seconds == pytest.approx(sum(item.done.work_seconds for item in segments))
    assert segments[1].done.match_report is not None
    assert segments[1].done.match_report.picture_report is None


@pytest.mark.parametrize("count", [1, 2])
def test_a_resumed_chain_gives_the_same_bytes(recorded: RecordedEngine, count: int) -> None:
    job = _chain(recorded)
    events = recorded.run(job)
    resumed = recorded.run(replace(job, begins_after=tuple(_segments(events)[:count])))
    np.testing.assert_array_equal(frames_of(resumed), frames_of(events)[(9, 13)[count - 1] :])
    chain = summary_of(resumed).chain
    assert chain is not None
    assert [item.number for item in chain.segments] == [1, 2, 3]
    assert [item.seam for item in chain.segments] == [item.seam for item in _segments(events)]
    assert summary_of(resumed).frame_matches == summary_of(events).frame_matches


def test_a_cancel_during_any_call_of_a_later_segment_makes_it_the_last(recorded: RecordedEngine) -> None:
    job = chain_of(recorded.prepare(), _PROMPTS[:2], 5)
    first = _segments(recorded.run(job))[0]
    job = replace(job, begins_after=(first,))
    recorded.run(job)
    calls = list(recorded.runtime.calls)  # texts and scores are cached now
    for last in range(1, len(calls)):
        cancel = CancelFlag()
        recorded.runtime.after_call = lambda cancel=cancel, last=last: (  # type: ignore[misc]
            cancel.set() if len(recorded.runtime.calls) == last else None
        )
        with pytest.raises(Cancelled):
            list(recorded.start(job, cancel))
        assert recorded.runtime.calls == calls[:last]


def test_a_segment_below_the_required_match_ends_the_chain(recorded: RecordedEngine) -> None:
    job = _chain(recorded)
    first = _segments(recorded.run(job))[0]
    required = replace(job, match_mode=MatchMode.REQUIRE, minimum_score=100.0, begins_after=(first,))
    events = recorded.run(required)
    assert [type(event).__name__ for event in events] == ["SegmentStarted", "StageStarted", "MatchReport", "JobDone"]
    chain = summary_of(events).chain
    assert chain is not None
    assert chain.stop is not None
    assert (chain.stop.number, chain.stop.report, chain.stop.minimum_score) == (2, events[2], 100.0)


def test_a_chain_keeps_to_the_memory_plan_and_loads_the_text_encoder_once(
    tiny_bundle: Path, png: Callable[..., bytes]
) -> None:
    tight = WatchedEngine(tiny_bundle, png(80, 50), least_bytes(tiny_bundle), given_frame_count=5)
    assert "text_encoder" in tight.plan().swapped
    most_bytes = max(item.buffer_bytes for item in tight.plan().stages)
    buffer_bytes: list[int] = []
    tight.runtime.on_call = lambda _: buffer_bytes.append(tight.runtime.buffer_bytes)
    tight.clip(tight.prepare())
    tight.runtime.loads.clear()
    assert len(tight.clip(chain_of(tight.prepare(), _PROMPTS, 5))) == 17
    assert max(buffer_bytes) <= most_bytes
    assert tight.runtime.buffer_bytes == 0
    assert tight.runtime.loads.count("text_encoder") == 1


@pytest.mark.parametrize("family", ["tiny_bundle", "tiny_5b_bundle"])
def test_by_default_a_segment_is_the_clip_of_the_last_frame_before_it(
    family: str, request: pytest.FixtureRequest, png: Callable[..., bytes]
) -> None:
    engine = open_engine(request.getfixturevalue(family), EngineSettings(thread_count=1))
    assert engine.capabilities().given_frame_count == 1
    sampling = SamplingSpec(step_count=2, seed=7)
    plain = engine.prepare(Job(Image(png(64, 32)), _PROMPTS[0], "a dog", VideoSpec(), sampling))
    count = plain.settings.frame_count
    events = list(engine.generate(chain_of(plain, _PROMPTS, 1, last_frame_count=2), CancelFlag()))
    assert [event.index for event in events if isinstance(event, FrameReady)] == list(range(2 * count + 1))
    assert len([event for event in events if isinstance(event, StepDone)]) == 6
    frames = frames_of(events)
    settings = replace(plain.settings, seed=8)
    following = replace(plain, picture=frames[count - 1], settings=settings, prompt=_PROMPTS[1])
    made = frames_of(list(engine.generate(following, CancelFlag())))
    np.testing.assert_array_equal(made[1:], frames[count : 2 * count - 1])
    engine.close()


def test_a_bundle_that_encodes_one_frame_is_given_no_more(tiny_5b_bundle: Path) -> None:
    with pytest.raises(BundleInvalid, match=r"^given_frame_count is 5, but .* can encode only one; set it to 1$"):
        open_engine(tiny_5b_bundle, EngineSettings(given_frame_count=5))


@pytest.mark.parametrize("given_frame_count", [-3, 0, 6])
def test_given_frames_are_whole_latent_frames(given_frame_count: int, tiny_bundle: Path) -> None:
    with pytest.raises(ValueError, match=f"given_frame_count is {given_frame_count}, not 4n"):
        open_engine(tiny_bundle, EngineSettings(given_frame_count=given_frame_count))


def test_a_segment_is_longer_than_its_given_frames(tiny_bundle: Path) -> None:
    with pytest.raises(BundleInvalid, match=r"^given_frame_count is 9, but .* at most 9 frames, .* set fewer$"):
        open_engine(tiny_bundle, EngineSettings(given_frame_count=9))


def test_a_chain_crosses_the_pipe_of_a_worker(recorded: RecordedEngine, tiny_bundle: Path) -> None:
    job = _chain(recorded)
    expected = recorded.run(job)
    settings = EngineSettings(thread_count=1, given_frame_count=5)
    worker: Engine = launch_worker_engine(partial(open_engine, tiny_bundle, settings))()
    try:
        events = list(worker.generate(job, CancelFlag()))
        resumed = list(worker.generate(replace(job, begins_after=tuple(_segments(events)[:2])), CancelFlag()))
    finally:
        worker.close()
    assert [type(event) for event in events] == [type(event) for event in expected]
    np.testing.assert_array_equal(frames_of(events), frames_of(expected))
    for actual, segment in zip(_segments(events), _segments(expected), strict=True):
        assert actual.end is not None
        assert segment.end is not None
        np.testing.assert_array_equal(np.array(actual.end.frames), np.array(segment.end.frames))
        assert actual.seam == segment.seam
    np.testing.assert_array_equal(frames_of(resumed), frames_of(expected)[13:])
    assert isinstance(resumed[-1], JobDone)
    assert resumed[-1].chain is not None
    assert len(resumed[-1].chain.segments) == 3
