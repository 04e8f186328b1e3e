"""Encoded prompts and scored pairs are cached; the least recently used prompt leaves the cache first."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from engine.api.job import SamplingSpec
from engine.api.match_report import MatchReport
from tests.recorded_engine import RecordedEngine, frames_of


def test_a_pair_that_was_scored_costs_no_second_encoder_run(recorded: RecordedEngine) -> None:
    first = next(event for event in recorded.run(recorded.prepare()) if isinstance(event, MatchReport))
    again = next(event for event in recorded.run(recorded.prepare()) if isinstance(event, MatchReport))
    assert not {"scorer_image", "scorer_text"} & set(recorded.runtime.calls)
    assert again == first


def test_a_prompt_is_encoded_once(recorded: RecordedEngine) -> None:
    first = recorded.run(recorded.prepare())
    assert recorded.runtime.calls.count("text_encoder") == 2
    second = recorded.run(recorded.prepare(" a white  cat jumps\nto the left "))  # the same once it is cleaned
    assert "text_encoder" not in recorded.runtime.calls
    np.testing.assert_array_equal(frames_of(second), frames_of(first))


def test_the_prompt_that_was_not_used_for_longest_is_forgotten_first(
    tiny_bundle: Path, png: Callable[..., bytes]
) -> None:
    recorded = RecordedEngine(tiny_bundle, png(64, 48), text_cache_entry_count=2)
    was_encoded = []
    for prompt in ("cat", "dog", "cat", "sea", "cat", "dog"):  # the sea drives out the dog
        recorded.run(recorded.prepare(prompt, sampling=SamplingSpec(1, 1.0, 1.0, seed=0)))
        was_encoded.append("text_encoder" in recorded.runtime.calls)
    assert was_encoded == [True, True, False, True, False, True]
