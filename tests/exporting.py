"""Exports random checkpoints for tests."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from engine.api.capabilities import Geometry
from engine.bundle.manifest import Manifest
from export.bundle.exporter import export_bundle
from export.bundle.plan import ExportPlan
from export.weights.layouts.opening import open_checkpoint
from export.weights.serving_defaults import FAMILY_DEFAULTS
from tests.checkpoints import TinyModel, write_checkpoint


@dataclass(frozen=True)
class TinyExport:
    """Paths of a tiny checkpoint and its bundle."""

    checkpoint: Path
    bundle: Path
    manifest: Manifest


def export_tiny(
    folder: Path, model: TinyModel, geometries: tuple[Geometry, ...], *, scorer: bool = False
) -> TinyExport:
    """Writes a checkpoint into ``folder/checkpoint`` and exports it to ``folder/bundle``."""
    checkpoint = write_checkpoint(folder / "checkpoint", model, scorer=scorer)
    opened = open_checkpoint(checkpoint)
    plan = ExportPlan(
        checkpoint=opened,
        out=folder / "bundle",
        geometries=geometries,
        defaults=FAMILY_DEFAULTS[opened.family],
        name="tiny",
        scorer=checkpoint / "scorer" if scorer else None,
        notices=("The weights are random: clips are noise.",),
    )
    return TinyExport(checkpoint, folder / "bundle", export_bundle(plan, report=lambda _: None))
