"""Checkpoints of both families become plans in every precision, for the cards that have it, by the export itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.bundle import Manifest, Precision
from engine.types import Geometry
from export.bundling import Export
from export.checkpoint import open_checkpoint
from export.defaults import FAMILY_DEFAULTS
from export.errors import ExportError
from export.plan import ExportPlan, check_plan
from export.quantise.calibrate import calibrate
from export.quantise.samples import generated_pairs
from export.tensorrt import TARGETS, Target
from tests.checkpoints import TinyModel, write_checkpoint

_RTX3090, _RTX4090 = TARGETS
# Wide enough for blocks of four-bit weights.
_MODEL = {"head_count": 2, "head_size": 32, "ffn_size": 128, "layer_count": 1, "text_size": 32}
_CASES: tuple[tuple[Precision, tuple[Target, ...]], ...] = (
    ("fp16", TARGETS),
    ("int8", TARGETS),
    ("int4", TARGETS),
    ("fp8", (_RTX4090,)),
)


@pytest.mark.parametrize("is_5b", [False, True], ids=["a14b", "5b"])
@pytest.mark.parametrize(("precision", "targets"), _CASES, ids=[case[0] for case in _CASES])
def test_every_stage_has_a_plan(tmp_path: Path, precision: Precision, targets: tuple[Target, ...], is_5b: bool) -> None:
    plan = _plan(tmp_path, precision, targets, is_5b=is_5b)
    manifest = Export(plan, report=lambda _: None).run()
    assert _precisions(manifest, "transformer") == {precision}
    for graph in manifest.graphs:
        assert [engine.compute_capability for engine in graph.engines] == [card.compute_capability for card in targets]
        for engine in graph.engines:
            assert (
                (plan.out / engine.file).stat().st_size == engine.plan_bytes == manifest.files[engine.file].byte_count
            )


def test_fp8_for_the_3090_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    plan = _plan(tmp_path, "fp8", TARGETS, is_5b=True)
    with pytest.raises(ExportError, match=r"--gpu rtx3090: the transformer computes in fp8, which sm_86 does not have"):
        check_plan(plan)
    assert not plan.out.exists()


def _plan(folder: Path, precision: Precision, targets: tuple[Target, ...], *, is_5b: bool) -> ExportPlan:
    checkpoint = open_checkpoint(write_checkpoint(folder / "checkpoint", TinyModel(is_5b=is_5b, **_MODEL)))
    geometry = Geometry(64, 32, 5) if is_5b else Geometry(48, 48, 5)
    calibration = None
    if precision in {"int8", "fp8"}:
        calibration = folder / "calibration"
        pairs = generated_pairs(geometry)[:1]
        calibrate(checkpoint, calibration, pairs, geometry, samples_per_pair=1)
    return ExportPlan(
        checkpoint=checkpoint,
        out=folder / "bundle",
        geometries=(geometry,),
        defaults=FAMILY_DEFAULTS[checkpoint.family],
        name="tiny",
        precision=precision,
        targets=targets,
        calibration=calibration,
    )


def _precisions(manifest: Manifest, stage: str) -> set[str]:
    return {graph.precision for graph in manifest.graphs if graph.stage.startswith(stage)}
