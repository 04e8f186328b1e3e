"""The exporter compiles checkpoints of both families in every precision, for the GPUs that support it."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.api.capabilities import Geometry
from engine.bundle.graph_spec import Precision
from engine.bundle.manifest import Manifest
from export.bundle.build_log import BuildLog
from export.bundle.exporter import export_bundle
from export.bundle.option_checks import check_options
from export.bundle.plan import ExportPlan
from export.errors import ExportError
from export.quantise.calibrate import calibrate
from export.quantise.samples import generated_pairs
from export.tensorrt import TARGETS, Target
from export.weights.checkpoint import Checkpoint
from export.weights.layouts.opening import open_checkpoint
from export.weights.serving_defaults import FAMILY_DEFAULTS
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

_BOTH = ("text_encoder", "vae_encoder_init", "guide_and_step", "vae_decoder_init", "vae_decoder_step")
_A14B = (*_BOTH, "vae_encoder_step", "transformer_high", "transformer_low")
_5B = (*_BOTH, "transformer")


@pytest.mark.walk
@pytest.mark.parametrize("is_5b", [False, True], ids=["a14b", "5b"])
def test_every_stage_has_a_plan_in_every_precision(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_5b: bool
) -> None:
    # Into one folder, as after an interruption: what the precisions have in common is traced and compiled once.
    monkeypatch.setattr(BuildLog, "close", lambda _: None)
    checkpoint, geometry = _checkpoint(tmp_path, is_5b=is_5b), _geometry(is_5b=is_5b)
    calibration = tmp_path / "calibration"
    calibrate(checkpoint, calibration, generated_pairs(geometry)[:1], geometry, samples_per_pair=1)
    for precision, targets in _CASES:
        plan = _plan(checkpoint, tmp_path / "bundle", precision, targets, is_5b=is_5b, calibration=calibration)
        manifest = export_bundle(plan, report=lambda _: None)
        assert _precisions(manifest, "transformer") == {precision}
        assert _precisions(manifest, "vae") == {"fp16"}
        assert _precisions(manifest, "text_encoder") == {"fp16" if precision == "fp16" else "int8"}
        assert {graph.stage for graph in manifest.graphs} == set(_5B if is_5b else _A14B)
        for graph in manifest.graphs:
            cards = [card.compute_capability for card in targets]
            assert [engine.compute_capability for engine in graph.engines] == cards
            for engine in graph.engines:
                size = (plan.out / engine.file).stat().st_size
                assert size == engine.plan_bytes == manifest.files[engine.file].byte_count


def test_fp8_for_the_3090_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    plan = _plan(_checkpoint(tmp_path, is_5b=True), tmp_path / "bundle", "fp8", TARGETS, is_5b=True)
    with pytest.raises(ExportError, match=r"--gpu rtx3090: the transformer computes in fp8, which sm_86 does not have"):
        check_options(plan)
    assert not plan.out.exists()


def _checkpoint(folder: Path, *, is_5b: bool) -> Checkpoint:
    return open_checkpoint(write_checkpoint(folder / "checkpoint", TinyModel(is_5b=is_5b, **_MODEL)))


def _geometry(*, is_5b: bool) -> Geometry:
    return Geometry(64, 32, 5) if is_5b else Geometry(48, 48, 5)


def _plan(
    checkpoint: Checkpoint,
    out: Path,
    precision: Precision,
    targets: tuple[Target, ...],
    *,
    is_5b: bool,
    calibration: Path | None = None,
) -> ExportPlan:
    return ExportPlan(
        checkpoint=checkpoint,
        out=out,
        geometries=(_geometry(is_5b=is_5b),),
        defaults=FAMILY_DEFAULTS[checkpoint.family],
        name="tiny",
        precision=precision,
        targets=targets,
        calibration=calibration,
    )


def _precisions(manifest: Manifest, stage: str) -> set[str]:
    return {graph.precision for graph in manifest.graphs if graph.stage.startswith(stage)}
