"""Frames of the engine against Diffusers' pipeline: random small models, same latents, same settings, float32."""

from __future__ import annotations

import io
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import WanImageToVideoPipeline
from numpy.typing import NDArray
from PIL import Image as Pillow

from engine.api.cancellation import CancelFlag
from engine.api.capabilities import Geometry
from engine.api.events import Expert, FrameReady, StepDone
from engine.api.job import Job, SamplingSpec, VideoSpec
from engine.api.media import Image
from engine.bundle.folder import read_manifest
from engine.generate.bundle_engine import BundleEngine
from engine.generate.loading import load_bundle
from engine.runtime.ort import OrtRuntime
from tests.checkpoints import TinyModel
from tests.exporting import TinyExport, export_tiny
from tests.recorded_colours import record_colours

_TOLERANCE = 2e-3


@dataclass(frozen=True)
class Case:
    """A random model and a random call."""

    model: TinyModel
    geometry: Geometry
    step_count: int
    shift: float
    guidance_scale: float
    guidance_scale_low_noise: float | None
    prompt: str
    negative_prompt: str


def _draw(seed: int, *, is_5b: bool, latent_frame_count: int, prompt: str, negative_prompt: str) -> Case:
    """A case from a seed: sizes, heads, layers, boundary, solver order, steps, shift and guidance are drawn."""
    draw = np.random.default_rng(seed)
    model = TinyModel(
        is_5b=is_5b,
        layer_count=int(draw.integers(1, 4)),
        head_count=int(draw.integers(1, 4)),
        head_size=int(draw.choice([8, 12, 16, 20])),
        ffn_size=int(draw.integers(20, 60)),
        text_size=int(draw.choice([8, 16, 24])),
        vae_block_count=int(draw.integers(1, 3)),
        solver_order=int(draw.integers(1, 4)),
        boundary_ratio=float(draw.uniform(0.5, 0.95)),
        seed=seed,
    )
    multiple = model.size_multiple
    width, height = (int(side) * multiple for side in draw.integers(1, 5, size=2))
    high, low = draw.uniform(1.5, 6.0, size=2).round(2).tolist()
    return Case(
        model=model,
        geometry=Geometry(width, height, 4 * (latent_frame_count - 1) + 1),
        step_count=int(draw.integers(2, 7)),
        shift=round(float(draw.uniform(1.0, 8.0)), 2),
        guidance_scale=high,
        guidance_scale_low_noise=None if is_5b else low,
        prompt=prompt,
        negative_prompt=negative_prompt,
    )


_CASES = [
    _draw(1, is_5b=False, latent_frame_count=1, prompt="a white cat jumps to the left", negative_prompt=""),
    _draw(2, is_5b=False, latent_frame_count=3, prompt="红色的汽车在公路上缓缓行驶,天色渐暗", negative_prompt="静态"),
    _draw(
        3, is_5b=False, latent_frame_count=5, prompt="a dolphin &amp; waves,  twice  spaced", negative_prompt="blurred"
    ),
    _draw(4, is_5b=True, latent_frame_count=1, prompt="海豚跃出海面", negative_prompt="字幕"),
    _draw(5, is_5b=True, latent_frame_count=2, prompt="the person turns the head, then smiles", negative_prompt=""),
    _draw(6, is_5b=True, latent_frame_count=4, prompt="人物先转头 then smiles", negative_prompt="worst quality"),
    replace(
        _draw(7, is_5b=False, latent_frame_count=2, prompt="a cat", negative_prompt="a dog"),
        guidance_scale=1.0,
        guidance_scale_low_noise=1.0,
    ),
]


# Walks, since each exports a bundle of its own. `make test` compares pocket's (test_pocket_bundle), and the VAE of both
# families (test_engine_vae_stream).
@pytest.mark.walk
@pytest.mark.parametrize("case", _CASES, ids=lambda case: f"{case.geometry}-{case.model.seed}")
def test_frames_equal_diffusers(case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _check_frames(case, export_tiny(tmp_path, case.model, (case.geometry,)), monkeypatch)


@pytest.mark.walk
def test_frames_of_a_5b_bundle_equal_diffusers(tiny_5b_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    case = replace(_CASES[4], model=TinyModel(is_5b=True), geometry=Geometry(64, 32, 5))
    exported = TinyExport(tiny_5b_bundle.parent / "checkpoint", tiny_5b_bundle, read_manifest(tiny_5b_bundle)[0])
    _check_frames(case, exported, monkeypatch)


def _check_frames(case: Case, exported: TinyExport, monkeypatch: pytest.MonkeyPatch) -> None:
    draw = np.random.default_rng(case.model.seed)
    picture = draw.integers(0, 256, (case.geometry.height_px, case.geometry.width_px, 3), dtype=np.uint8)
    latent = exported.manifest.latent
    noise = draw.standard_normal(
        (
            1,
            latent.channel_count,
            (case.geometry.frame_count - 1) // 4 + 1,
            case.geometry.height_px // latent.spatial_stride,
            case.geometry.width_px // latent.spatial_stride,
        ),
        dtype=np.float32,
    )
    expected = _diffusers_frames(case, exported.checkpoint, picture, noise)
    colours = record_colours(monkeypatch)
    frames, experts = _engine_frames(case, exported.bundle, picture, noise)
    actual = np.concatenate(colours)
    assert actual.shape == expected.shape
    assert float(expected.std()) > 0.02  # a grey clip would prove nothing
    np.testing.assert_allclose(actual, expected, rtol=0, atol=_TOLERANCE)
    np.testing.assert_array_equal(frames, np.rint(actual.clip(0, 1) * 255))
    assert (experts == {Expert.SINGLE}) == case.model.is_5b


def _engine_frames(
    case: Case, bundle: Path, picture: NDArray[np.uint8], noise: NDArray[np.float32]
) -> tuple[NDArray[np.uint8], set[Expert]]:
    engine = BundleEngine(load_bundle(bundle, OrtRuntime(thread_count=1)), text_cache_entry_count=4)
    buffer = io.BytesIO()
    Pillow.fromarray(picture).save(buffer, "PNG")
    job = engine.prepare(
        Job(
            Image(buffer.getvalue()),
            case.prompt,
            case.negative_prompt,
            VideoSpec(case.geometry.width_px, case.geometry.height_px, case.geometry.frame_count),
            SamplingSpec(case.step_count, case.guidance_scale, case.guidance_scale_low_noise, 0, case.shift),
        )
    )
    events = list(engine.generate_from_noise(job, noise, CancelFlag()))
    frames = [event.pixels for event in events if isinstance(event, FrameReady)]
    return np.stack(frames), {event.expert for event in events if isinstance(event, StepDone)}


def _diffusers_frames(
    case: Case, checkpoint: Path, picture: NDArray[np.uint8], noise: NDArray[np.float32]
) -> NDArray[np.float32]:
    pipeline = WanImageToVideoPipeline.from_pretrained(checkpoint, torch_dtype=torch.float32)
    pipeline.set_progress_bar_config(disable=True)
    pipeline.scheduler.register_to_config(flow_shift=case.shift)
    output = pipeline(
        image=Pillow.fromarray(picture),
        prompt=case.prompt,
        negative_prompt=case.negative_prompt,
        height=case.geometry.height_px,
        width=case.geometry.width_px,
        num_frames=case.geometry.frame_count,
        num_inference_steps=case.step_count,
        guidance_scale=case.guidance_scale,
        guidance_scale_2=case.guidance_scale_low_noise,
        latents=torch.from_numpy(noise.copy()),
        output_type="np",
    )
    frames: NDArray[np.float32] = output.frames[0]
    return frames
