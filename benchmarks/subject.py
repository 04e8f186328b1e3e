"""Prepares ``benchmarks.pipeline``: a checkpoint, the bundle exported from it, and the clip to generate."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.clip import Clip
from engine.api.capabilities import Geometry
from engine.bundle.folder import read_manifest
from engine.bundle.manifest import Manifest
from export.bundle.exporter import export_bundle
from export.bundle.plan import ExportPlan
from export.weights.layouts.opening import open_checkpoint
from export.weights.serving_defaults import FAMILY_DEFAULTS
from tests.checkpoints import TinyModel, write_checkpoint

POCKET_BUNDLE = Path("pocket/model")
POCKET_CHECKPOINT = POCKET_BUNDLE / "checkpoint"
# The pocket model's shape, for random weights if the trained model is missing.
POCKET_SHAPE = TinyModel(
    layer_count=6, head_count=8, head_size=24, ffn_size=512, text_size=128, vae_size=16, vae_block_count=1
)


@dataclass(frozen=True)
class Subject:
    """Paths of checkpoint and bundle; ``is_random`` if the weights are noise."""

    checkpoint: Path
    bundle: Path
    manifest: Manifest
    is_random: bool


def prepare_subject(folder: Path, geometry: Geometry, checkpoint: Path | None, bundle: Path | None) -> Subject:
    """Finds or writes a checkpoint, and exports it into ``folder`` unless ``bundle`` is given.

    Without ``checkpoint``, uses the trained pocket model, or a random checkpoint of its shape if that is missing.
    """
    is_random = checkpoint is None and not (POCKET_CHECKPOINT / "model_index.json").is_file()
    if is_random:
        checkpoint = write_checkpoint(folder / "checkpoint", POCKET_SHAPE)
    elif checkpoint is None:
        checkpoint = POCKET_CHECKPOINT
        if bundle is None and _holds(POCKET_BUNDLE, geometry):
            bundle = POCKET_BUNDLE
    assert checkpoint is not None
    opened = open_checkpoint(checkpoint)
    if bundle is None:
        bundle = folder / "bundle"
        plan = ExportPlan(opened, bundle, (geometry,), FAMILY_DEFAULTS[opened.family], "benchmark")
        manifest = export_bundle(plan, report=lambda _: None)
    else:
        manifest, _ = read_manifest(bundle)
    if manifest.checkpoint_digest != opened.digest():
        raise SystemExit(f"{bundle} was not exported from {checkpoint}: give a checkpoint and its own bundle")
    return Subject(checkpoint.resolve(), bundle.resolve(), manifest, is_random)


def write_clip(folder: Path, manifest: Manifest, geometry: Geometry, step_count: int, guidance_scale: float) -> Path:
    """Draws picture and noise from a fixed seed, writes the clip's settings to a JSON file and returns its path."""
    draw = np.random.default_rng(0)
    coarse = draw.integers(0, 256, (8, 8, 3), dtype=np.uint8)
    size = (geometry.width_px, geometry.height_px)
    Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC).save(folder / "picture.png")
    latent = manifest.latent
    shape = (
        1,
        latent.channel_count,
        (geometry.frame_count - 1) // latent.temporal_stride + 1,
        geometry.height_px // latent.spatial_stride,
        geometry.width_px // latent.spatial_stride,
    )
    np.save(folder / "noise.npy", draw.standard_normal(shape, dtype=np.float32))
    clip = Clip(
        folder=str(folder),
        width_px=geometry.width_px,
        height_px=geometry.height_px,
        frame_count=geometry.frame_count,
        step_count=step_count,
        guidance_scale=guidance_scale,
        guidance_scale_low_noise=None if manifest.schedule.boundary_timestep is None else guidance_scale,
        thread_count=os.cpu_count() or 1,
    )
    file = folder / "clip.json"
    file.write_text(json.dumps(asdict(clip)))
    return file


def _holds(bundle: Path, geometry: Geometry) -> bool:
    if not (bundle / "bundle.json").is_file():
        return False
    manifest, _ = read_manifest(bundle)
    wanted = (geometry.width_px, geometry.height_px, geometry.frame_count)
    return wanted in {(item.width_px, item.height_px, item.frame_count) for item in manifest.geometries}
