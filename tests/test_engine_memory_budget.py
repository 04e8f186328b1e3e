"""The memory budget of an engine: a size that does not fit is not offered, and the engine opens only where one fits."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from engine import open_engine
from engine.api.errors import DoesNotFit
from engine.api.settings import EngineSettings
from engine.bundle.folder import read_manifest
from engine.memory.plan import plan_memory
from tests.watched_engine import SQUARE, WIDE, WatchedEngine, least_bytes


def test_a_server_does_not_start_where_nothing_fits(tiny_bundle: Path) -> None:
    with pytest.raises(DoesNotFit) as refused:
        open_engine(tiny_bundle, EngineSettings(thread_count=1, memory_budget_bytes=2**20 // 4))
    assert str(refused.value).startswith("tiny does not fit: 64x48, 9 frames needs ")
    assert "but may take 0.3 MB; " in str(refused.value)


def test_sizes_that_do_not_fit_are_not_offered(tiny_bundle: Path, png: Callable[..., bytes]) -> None:
    budget_bytes = least_bytes(tiny_bundle, SQUARE)
    assert budget_bytes < least_bytes(tiny_bundle, WIDE)
    engine = WatchedEngine(tiny_bundle, png(80, 50), budget_bytes).engine
    assert engine.capabilities().geometries == (SQUARE,)
    assert engine.capabilities().memory_budget_bytes == budget_bytes
    (notice,) = [item for item in engine.capabilities().notices if item.startswith("Not served here")]
    assert notice.startswith("Not served here: 64x48, 9 frames needs ")


def test_without_a_budget_the_plan_counts_shared_weights_once(tiny_bundle: Path) -> None:
    manifest, _ = read_manifest(tiny_bundle)
    plan = plan_memory(manifest, None, None)
    assert plan.keeps_everything
    graphs = {spec.file for spec in manifest.graphs}
    weights = sum(
        spec.byte_count for name, spec in manifest.files.items() if name in graphs or name.endswith(".safetensors")
    )
    assert {stage.weight_bytes for item in plan.plans for stage in item.stages} == {weights}
