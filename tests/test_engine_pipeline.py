"""A job through the engine, graph call by graph call: order of events and calls, previews, guidance, capabilities."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from engine.api.cancellation import CancelFlag
from engine.api.errors import NotCompiled, ScorerMissing
from engine.api.events import Expert, FrameReady, JobDone, Stage, StageStarted, StepDone
from engine.api.job import SamplingSpec
from engine.api.match_report import MatchReport
from engine.api.media import Image
from tests.recorded_engine import ALL_CALLS, RecordedEngine, advance_to, frames_of


def test_events_come_in_the_order_of_the_stages(recorded: RecordedEngine) -> None:
    events = recorded.run(recorded.prepare())
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
    assert recorded.runtime.calls == [*ALL_CALLS, "scorer_image"]  # and the sampled frames, in one call


def test_the_first_frame_leaves_before_the_second_latent_frame_is_decoded(recorded: RecordedEngine) -> None:
    events = recorded.start(recorded.prepare())
    frame = advance_to(FrameReady, events)
    assert isinstance(frame, FrameReady)
    assert frame.index == 0
    assert recorded.runtime.calls == ALL_CALLS[:-2]
    next(events)
    assert recorded.runtime.calls == ALL_CALLS[:-1]  # four frames of one call
    assert [event.index for event in events if isinstance(event, FrameReady)] == list(range(2, 9))


@pytest.mark.parametrize("width_px", [48, 64])
def test_frames_have_the_size_that_was_asked_for(recorded: RecordedEngine, width_px: int) -> None:
    frames = frames_of(recorded.run(recorded.prepare(width_px=width_px)))
    assert frames.shape == (9, 48, width_px, 3)
    assert frames.dtype == np.uint8


def test_previews_come_at_the_steps_that_were_asked_for(recorded: RecordedEngine) -> None:
    job = recorded.prepare(sampling=SamplingSpec(step_count=5, seed=1), preview_every_step_count=2)
    steps = [event for event in recorded.run(job) if isinstance(event, StepDone)]
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
    recorded: RecordedEngine, high: float, low: float, row_counts: list[int], encoded_prompt_count: int
) -> None:
    recorded.run(recorded.prepare(sampling=SamplingSpec(2, high, low, seed=3)))
    assert recorded.runtime.prediction_row_counts == row_counts
    assert recorded.runtime.calls.count("text_encoder") == encoded_prompt_count


def test_capabilities_are_the_bundles(recorded: RecordedEngine) -> None:
    capabilities = recorded.engine.capabilities()
    assert [(item.width_px, item.height_px, item.frame_count) for item in capabilities.geometries] == [
        (64, 48, 9),
        (48, 48, 9),
    ]
    assert capabilities.match_supported
    assert capabilities.notices == ("The weights are random: clips are noise.",)
    assert capabilities.runtime.startswith("onnxruntime ")
    assert capabilities == recorded.engine.capabilities()
    with pytest.raises(NotCompiled):
        recorded.prepare(width_px=80)


def test_a_closed_engine_says_so(recorded: RecordedEngine, png: Callable[..., bytes]) -> None:
    job = recorded.prepare()
    recorded.engine.close()
    with pytest.raises(RuntimeError, match="the engine is closed"):
        recorded.engine.generate(job, CancelFlag())
    with pytest.raises(ScorerMissing):
        recorded.engine.score_match(Image(png(8, 8)), "a cat")
