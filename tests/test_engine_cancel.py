"""A cancel stops the engine before its next graph call; after any end the engine is ready for the next job."""

from __future__ import annotations

import numpy as np
import pytest

from engine.api.cancellation import CancelFlag
from engine.api.errors import Cancelled, GraphFailed
from engine.api.events import Event, FrameReady, StageStarted, StepDone
from engine.api.match_report import MatchReport
from tests.recorded_engine import ALL_CALLS, RecordedEngine, advance_to, frames_of


@pytest.mark.parametrize("kind", [StageStarted, MatchReport, StepDone, FrameReady])
def test_a_cancel_between_two_events_stops_the_next_call(recorded: RecordedEngine, kind: type[Event]) -> None:
    job, cancel = recorded.prepare(), CancelFlag()
    events = recorded.start(job, cancel)
    advance_to(kind, events)
    cancel.set()
    before = list(recorded.runtime.calls)
    with pytest.raises(Cancelled):
        list(events)
    assert recorded.runtime.calls == before
    assert len(before) < len(ALL_CALLS)
    assert len(frames_of(recorded.run(job))) == 9


def test_a_cancel_during_any_call_makes_it_the_last(recorded: RecordedEngine) -> None:
    job = recorded.prepare()
    expected = frames_of(recorded.run(job))
    cached = [call for call in ALL_CALLS if call not in {"text_encoder", "scorer_image", "scorer_text"}]
    for last in range(1, len(cached)):
        cancel = CancelFlag()
        recorded.runtime.after_call = lambda cancel=cancel, last=last: (  # type: ignore[misc]
            cancel.set() if len(recorded.runtime.calls) == last else None
        )
        with pytest.raises(Cancelled):
            list(recorded.start(job, cancel))
        assert recorded.runtime.calls == cached[:last]
    recorded.runtime.after_call = lambda: None
    np.testing.assert_array_equal(frames_of(recorded.run(job)), expected)


@pytest.mark.parametrize("last", [1, 2])
def test_a_cancel_while_the_pair_is_scored_makes_that_call_the_last(recorded: RecordedEngine, last: int) -> None:
    cancel = CancelFlag()
    recorded.runtime.after_call = lambda: cancel.set() if len(recorded.runtime.calls) == last else None
    with pytest.raises(Cancelled):
        list(recorded.start(recorded.prepare(), cancel))
    assert recorded.runtime.calls == ["scorer_image", "scorer_text"][:last]


def test_closing_the_events_early_leaves_the_engine_ready(recorded: RecordedEngine) -> None:
    job = recorded.prepare()
    expected = frames_of(recorded.run(job))
    for kind in (StageStarted, StepDone, FrameReady):
        events = recorded.engine.generate(job, CancelFlag())
        advance_to(kind, events)
        events.close()  # type: ignore[attr-defined]
        np.testing.assert_array_equal(frames_of(recorded.run(job)), expected)


def test_a_failed_call_leaves_the_engine_ready(recorded: RecordedEngine) -> None:
    job = recorded.prepare()
    expected = frames_of(recorded.run(job))
    noise_of_another_size = np.zeros((1, 16, 3, 6, 4), np.float32)
    with pytest.raises(GraphFailed, match=r"transformer_high_64x48x9\.onnx failed"):
        list(recorded.engine.generate_from_noise(job, noise_of_another_size, CancelFlag()))
    np.testing.assert_array_equal(frames_of(recorded.run(job)), expected)
