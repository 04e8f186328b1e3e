"""Pocket as committed: its size, its bundle against its checkpoint, and the quality of its clips."""

from __future__ import annotations

import io
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import WanImageToVideoPipeline
from numpy.typing import NDArray
from PIL import Image as Pillow

import pocket.bundle
import pocket.card
import pocket.evaluate
from engine.api.cancellation import CancelFlag
from engine.api.events import FrameReady
from engine.api.job import Job, SamplingSpec
from engine.api.media import Image
from engine.bundle.folder import read_manifest
from engine.bundle.manifest import Manifest
from engine.generate.bundle_engine import BundleEngine
from engine.generate.loading import load_bundle
from engine.runtime.ort import OrtRuntime
from pocket.settings import BUNDLE_FOLDER, CHECKPOINT_FOLDER
from pocket.world import caption, render_picture, sample_spec

_LARGEST_BYTES = 25 * 1000 * 1000
_STEP_COUNT = 6
_GUIDANCE_SCALE = 3.0
_SPEC = sample_spec(209, held_out=True)
_SENTENCE = caption(_SPEC, "en", 0, always_complete=True)


@pytest.fixture(scope="module")
def manifest() -> Manifest:
    return read_manifest(BUNDLE_FOLDER)[0]


@pytest.fixture(scope="module")
def noise(manifest: Manifest) -> NDArray[np.float32]:
    latent = manifest.latent
    draw = np.random.default_rng(4)
    return draw.standard_normal((1, latent.channel_count, 5, 8, 8), dtype=np.float32)


@pytest.fixture(scope="module")
def engine_frames(noise: NDArray[np.float32]) -> NDArray[np.uint8]:
    return _engine_frames(BUNDLE_FOLDER, noise)


def test_all_files_together_are_small() -> None:
    assert sum(file.stat().st_size for file in BUNDLE_FOLDER.rglob("*") if file.is_file()) <= _LARGEST_BYTES


def test_graphs_point_into_the_checkpoint(manifest: Manifest) -> None:
    stored = {name for name in manifest.files if name.endswith(".safetensors")}
    assert stored == {str(file.relative_to(BUNDLE_FOLDER)) for file in CHECKPOINT_FOLDER.rglob("*.safetensors")}
    assert manifest.license == "apache-2.0"


def test_bundle_equals_the_stock_pipeline(noise: NDArray[np.float32], engine_frames: NDArray[np.uint8]) -> None:
    pipeline = WanImageToVideoPipeline.from_pretrained(CHECKPOINT_FOLDER, torch_dtype=torch.float32)
    pipeline.set_progress_bar_config(disable=True)
    frames = pipeline(
        image=Pillow.fromarray(render_picture(_SPEC)),
        prompt=_SENTENCE,
        negative_prompt="",
        height=64,
        width=64,
        num_frames=17,
        num_inference_steps=_STEP_COUNT,
        guidance_scale=_GUIDANCE_SCALE,
        latents=torch.from_numpy(noise.copy()),
        output_type="np",
    ).frames[0]
    assert np.abs(np.rint(frames * 255.0) - engine_frames).max() <= 2


@pytest.mark.walk
def test_a_new_export_gives_the_same_clip(
    tmp_path: Path, noise: NDArray[np.float32], engine_frames: NDArray[np.uint8]
) -> None:
    shutil.copytree(CHECKPOINT_FOLDER, tmp_path / "checkpoint")
    assert pocket.bundle.main(["--bundle", str(tmp_path), "--pictures", "12"]) == 0
    scorer = read_manifest(tmp_path)[0].scorer
    assert scorer is not None
    assert scorer.calibration is not None
    assert {item.kind for item in scorer.calibration.clauses} == {"subject", "action", "environment"}
    assert json.loads((tmp_path / pocket.bundle.FIGURES_NAME).read_text())["clauses"]["all"]["clause_count"] > 100
    assert np.abs(_engine_frames(tmp_path, noise).astype(int) - engine_frames).max() <= 1


def test_card_tells_the_measured_figures() -> None:
    card = pocket.card.CARD.read_text(encoding="utf-8")
    assert pocket.card.with_figures(card, pocket.card.EVALUATION) == card


@pytest.mark.walk
def test_evaluation_measures_and_draws(tmp_path: Path) -> None:
    sheet, report = tmp_path / "sheet.png", tmp_path / "figures.json"
    options = ["--clips", "4", "--seed", "2", "--json", str(report), "--sheet", str(sheet), "--mismatched", "1"]
    pocket.evaluate.main(options)
    figures = json.loads(report.read_text(encoding="utf-8"))
    assert figures["all"]["clip_count"] == len(figures["clips"]) == 4
    assert figures["all"]["motion_followed"] >= 0.75
    assert figures["all"]["first_frame_psnr_db"] > 28.0
    assert {kind["clip_count"] for kind in figures["mismatched"].values()} <= {0, 1}
    with Pillow.open(sheet) as drawn:
        assert drawn.width > 1000
        assert drawn.height > 4 * 128


def _engine_frames(bundle: Path, noise: NDArray[np.float32]) -> NDArray[np.uint8]:
    engine = BundleEngine(load_bundle(bundle, OrtRuntime(thread_count=1)), text_cache_entry_count=4)
    buffer = io.BytesIO()
    Pillow.fromarray(render_picture(_SPEC)).save(buffer, "PNG")
    sampling = SamplingSpec(_STEP_COUNT, _GUIDANCE_SCALE, _GUIDANCE_SCALE)
    job = engine.prepare(Job(Image(buffer.getvalue()), _SENTENCE, sampling=sampling))
    events = engine.generate_from_noise(job, noise, CancelFlag())
    return np.stack([event.pixels for event in events if isinstance(event, FrameReady)])
