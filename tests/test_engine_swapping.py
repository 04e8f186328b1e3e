"""Loading and unloading of graphs by plan, on a real bundle with a budget too small to keep any graph."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest

from engine.api.cancellation import CancelFlag
from engine.api.capabilities import MemoryPlan, StageMemory
from engine.api.errors import Cancelled
from engine.api.events import Expert, Stage
from engine.bundle.graph_spec import GraphSpec
from engine.memory.measure import demand_of
from tests.watched_engine import SQUARE, WIDE, WatchedEngine, least_bytes

# Stage of the job by the graph that runs; guide_and_step runs in both of denoising.
_STAGE_OF: Mapping[str, tuple[Stage, Expert | None]] = {
    "text_encoder": (Stage.ENCODE_TEXT, None),
    "vae_encoder_init": (Stage.ENCODE_IMAGE, None),
    "vae_encoder_step": (Stage.ENCODE_IMAGE, None),
    "transformer_high": (Stage.DENOISE, Expert.HIGH_NOISE),
    "transformer_low": (Stage.DENOISE, Expert.LOW_NOISE),
    "vae_decoder_init": (Stage.DECODE, None),
    "vae_decoder_step": (Stage.DECODE, None),
}


@pytest.fixture
def tight(tiny_bundle: Path, png: Callable[..., bytes]) -> WatchedEngine:
    return WatchedEngine(tiny_bundle, png(80, 50), least_bytes(tiny_bundle))


def _stage(plan: MemoryPlan, key: tuple[Stage, Expert | None]) -> StageMemory:
    (found,) = [item for item in plan.stages if (item.stage, item.expert) == key]
    return found


def test_the_same_clip_whatever_has_to_be_swapped(
    tight: WatchedEngine, tiny_bundle: Path, png: Callable[..., bytes]
) -> None:
    roomy = WatchedEngine(tiny_bundle, png(80, 50), None)
    assert roomy.plan().swapped == ()
    assert len(tight.plan().swapped) > 0
    expected = roomy.clip(roomy.prepare())
    for _ in range(2):
        np.testing.assert_array_equal(tight.clip(tight.prepare()), expected)
    assert roomy.runtime.loads.count("transformer_low") == 2  # one for each size, once


def test_memory_holds_what_the_plan_says_and_buffers_keep_to_it(tight: WatchedEngine) -> None:
    plan, seen = tight.plan(), set()
    key: tuple[Stage, Expert | None] = (Stage.ENCODE_TEXT, None)
    job = tight.prepare()

    def on_call(spec: GraphSpec) -> None:
        nonlocal key
        if spec.stage.startswith("scorer_"):
            return
        key = _STAGE_OF.get(spec.stage, key)
        memory = _stage(plan, key)
        present = [item.stage for item in tight.runtime.present]
        assert set(present) <= set(memory.resident)
        assert len(present) == len(set(present))
        assert tight.runtime.buffer_bytes <= memory.buffer_bytes
        seen.add(key)

    tight.runtime.on_call = on_call
    tight.clip(job)
    tight.clip(job)
    assert seen == set(_STAGE_OF.values())
    assert tight.runtime.buffer_bytes == 0


def test_the_planned_buffers_are_not_much_more_than_the_real_ones(tight: WatchedEngine) -> None:
    """A plan that always says too much would pass the test above."""
    most: dict[tuple[Stage, Expert | None], int] = {}
    key: tuple[Stage, Expert | None] = (Stage.ENCODE_TEXT, None)

    def on_call(spec: GraphSpec) -> None:
        nonlocal key
        if not spec.stage.startswith("scorer_"):
            key = _STAGE_OF.get(spec.stage, key)
            most[key] = max(most.get(key, 0), tight.runtime.buffer_bytes)

    tight.runtime.on_call = on_call
    tight.clip(tight.prepare(prompt="a " * 999))  # as many text rows as there can be
    manifest = tight.engine._manifest
    scores = demand_of(manifest, WIDE, None).standing_buffers.byte_count
    del most[Stage.ENCODE_TEXT, None]  # there the prompts go up after the last call
    assert len(most) == 4
    for stage, real in most.items():
        assert real > 0.75 * (_stage(tight.plan(), stage).buffer_bytes - scores)


def test_a_cached_prompt_needs_no_text_encoder(tight: WatchedEngine) -> None:
    job = tight.prepare()
    tight.clip(job)
    tight.runtime.loads.clear()
    tight.clip(job)
    was_prefetched = "text_encoder" in {name for stage in tight.plan().stages for name in stage.prefetched}
    assert tight.runtime.loads.count("text_encoder") == int(was_prefetched)
    tight.clip(tight.prepare(prompt="a blue car stops"))


def test_another_size_takes_the_place_of_the_first(
    tight: WatchedEngine, tiny_bundle: Path, png: Callable[..., bytes]
) -> None:
    roomy = WatchedEngine(tiny_bundle, png(80, 50), None)
    for geometry in (SQUARE, WIDE):
        np.testing.assert_array_equal(tight.clip(tight.prepare(geometry)), roomy.clip(roomy.prepare(geometry)))
        sizes = {(spec.width_px, spec.height_px) for spec in tight.runtime.present} - {(None, None)}
        assert sizes <= {(geometry.width_px, geometry.height_px)}


def test_a_cancelled_job_leaves_the_next_one_whole(tight: WatchedEngine) -> None:
    job = tight.prepare()
    expected = tight.clip(job)
    cancel = CancelFlag()

    def on_call(spec: GraphSpec) -> None:
        if spec.stage == "transformer_low":
            cancel.set()

    tight.runtime.on_call = on_call
    with pytest.raises(Cancelled):
        list(tight.engine.generate(job, cancel))
    tight.runtime.on_call = lambda _: None
    np.testing.assert_array_equal(tight.clip(job), expected)
