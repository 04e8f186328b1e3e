"""Transformers called in other shapes, and less often: real graphs on ONNX Runtime."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from engine.api.events import StepDone
from engine.api.job import SamplingSpec
from engine.api.reuse import StepReuse, StepWork
from engine.runtime.base import CallShapes
from tests.recorded_engine import RecordedEngine, frames_of, summary_of

_SAMPLING = SamplingSpec(step_count=4, guidance_scale=3.5, seed=7)


@pytest.mark.parametrize("row_counts", [(), (64, 128, 256, 512)])
def test_predictions_one_by_one_and_padded_prompts_make_the_same_clip(
    row_counts: tuple[int, ...], tiny_bundle: Path, png: Callable[..., bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = RecordedEngine(tiny_bundle, png(80, 50))
    together = frames_of(engine.run(engine.prepare(sampling=_SAMPLING)))
    assert engine.runtime.prediction_row_counts == [2] * 4
    shapes = CallShapes(prediction_count=1, prompt_row_counts=row_counts)
    monkeypatch.setattr(type(engine.runtime), "call_shapes", shapes)
    apart = frames_of(engine.run(engine.prepare(sampling=_SAMPLING)))
    assert engine.runtime.prediction_row_counts == [1] * 8
    difference = np.abs(together.astype(int) - apart.astype(int))
    assert difference.max() <= 1  # of 255: where a colour lies between two bytes
    assert (difference > 0).mean() < 0.01


@pytest.mark.parametrize("reuse", [StepReuse.BALANCED, StepReuse.FAST])
def test_the_transformer_computes_what_a_step_does_not_reuse(recorded: RecordedEngine, reuse: StepReuse) -> None:
    sampling = SamplingSpec(step_count=20, guidance_scale=3.5, seed=7, reuse=reuse)
    events = recorded.run(recorded.prepare(sampling=sampling))
    works = [event.work for event in events if isinstance(event, StepDone)]
    rows = {StepWork.FULL: [2], StepWork.GUIDANCE_REUSED: [1], StepWork.REUSED: []}
    assert recorded.runtime.prediction_row_counts == [count for work in works for count in rows[work]]
    assert recorded.runtime.calls.count("guide_and_step") == 20
    assert summary_of(events).step_counts == Counter(works)
    assert len(set(works)) == (2 if reuse is StepReuse.BALANCED else 3)
    again = recorded.run(recorded.prepare(sampling=sampling))
    np.testing.assert_array_equal(frames_of(again), frames_of(events))


def test_without_guidance_a_step_is_computed_or_reused(recorded: RecordedEngine) -> None:
    sampling = SamplingSpec(step_count=20, guidance_scale=1.0, seed=7, reuse=StepReuse.FAST)
    summary = summary_of(recorded.run(recorded.prepare(sampling=sampling)))
    assert set(summary.step_counts) == {StepWork.FULL, StepWork.REUSED}
    assert set(recorded.runtime.prediction_row_counts) == {1}
