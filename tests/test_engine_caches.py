"""Encoded prompts, encoded pictures and scored pairs are cached; what was not used for longest leaves first."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from engine.api.cancellation import CancelFlag
from engine.api.errors import Cancelled
from engine.api.events import Stage, StageStarted
from engine.api.job import SamplingSpec
from engine.api.match_report import MatchReport
from engine.cache import BoundedCache
from tests.recorded_engine import RecordedEngine, frames_of, summary_of


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


_ENCODERS = {"vae_encoder_init", "vae_encoder_step"}


@pytest.fixture
def with_pictures(tiny_bundle: Path, png: Callable[..., bytes]) -> RecordedEngine:
    """An engine that keeps encoded pictures."""
    return RecordedEngine(tiny_bundle, png(80, 50), picture_cache_bytes=2**20)


def test_another_sentence_about_the_same_picture_encodes_no_picture(
    with_pictures: RecordedEngine, recorded: RecordedEngine
) -> None:
    first = with_pictures.run(with_pictures.prepare())
    assert with_pictures.runtime.calls.count("vae_encoder_step") == 2
    second = with_pictures.run(with_pictures.prepare("a dog sleeps"))
    assert not _ENCODERS & set(with_pictures.runtime.calls)
    assert StageStarted(Stage.ENCODE_IMAGE) in second
    assert Stage.ENCODE_IMAGE in summary_of(second).stage_seconds
    np.testing.assert_array_equal(frames_of(second), frames_of(recorded.run(recorded.prepare("a dog sleeps"))))
    again = with_pictures.run(with_pictures.prepare())
    np.testing.assert_array_equal(frames_of(again), frames_of(first))


def test_another_size_of_the_same_picture_is_encoded(with_pictures: RecordedEngine) -> None:
    widths = [64, 48, 64, 48]
    encoded = []
    for width_px in widths:
        with_pictures.run(with_pictures.prepare(width_px=width_px))
        encoded.append(bool(_ENCODERS & set(with_pictures.runtime.calls)))
    assert encoded == [True, True, False, False]


def test_a_cancelled_encoding_leaves_nothing(with_pictures: RecordedEngine, recorded: RecordedEngine) -> None:
    cancel = CancelFlag()

    def after_call() -> None:
        if with_pictures.runtime.calls[-1] == "vae_encoder_step":
            cancel.set()

    with_pictures.runtime.after_call = after_call
    with pytest.raises(Cancelled):
        list(with_pictures.start(with_pictures.prepare(), cancel))
    with_pictures.runtime.after_call = lambda: None
    clip = with_pictures.run(with_pictures.prepare())
    assert with_pictures.runtime.calls.count("vae_encoder_step") == 2
    np.testing.assert_array_equal(frames_of(clip), frames_of(recorded.run(recorded.prepare())))


def test_entries_leave_a_cache_when_their_sizes_exceed_it() -> None:
    cache: BoundedCache[str, bytes] = BoundedCache(10, len)
    cache.keep({"a": b"1234", "b": b"12345"})
    cache.keep({"c": b"12"})  # 11 bytes: a goes
    assert cache.find(["a", "b", "c"]) == {"b": b"12345", "c": b"12"}
    cache.keep({"b": b"1"})  # replaced: 3 bytes
    cache.keep({"d": b"1234567"})
    assert cache.find("abcd") == {"b": b"1", "c": b"12", "d": b"1234567"}
    cache.keep({"e": b"12345678901"})  # too large alone
    assert cache.find("bcde") == {"b": b"1", "c": b"12", "d": b"1234567"}
    cache.keep({"f": b"1"})  # b was used longest ago, as the first of those found together
    assert cache.find("bcdf") == {"c": b"12", "d": b"1234567", "f": b"1"}


def test_a_cache_of_no_size_keeps_nothing() -> None:
    cache: BoundedCache[str, int] = BoundedCache(0)
    cache.keep({"a": 1})
    assert cache.find(["a"]) == {}
