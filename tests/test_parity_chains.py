"""A segment of a chain against Diffusers: random small models, same frames, same latents, same settings, float32.

Diffusers knows no given frames but the first. The reference is its pipeline, whose latents of the given frames are
overwritten after each step of its scheduler with their value at the next sigma.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import WanImageToVideoPipeline
from numpy.typing import NDArray
from PIL import Image as Pillow

from engine.api.cancellation import CancelFlag
from engine.api.capabilities import Geometry
from engine.api.events import FrameReady, SegmentDone
from engine.api.job import Job, SamplingSpec, VideoSpec
from engine.api.media import Image, Pixels
from engine.generate.bundle_engine import BundleEngine
from engine.generate.loading import load_bundle
from engine.generate.segment_join import PutBack
from engine.runtime.ort import OrtRuntime
from tests.chained_jobs import chain_of, segment_of
from tests.checkpoints import TinyModel
from tests.exporting import export_tiny
from tests.recorded_colours import record_colours

_TOLERANCE = 2e-3
_PROMPT, _NEGATIVE_PROMPT = "the dolphin dives, 然后跃出海面", "blurred"


@dataclass(frozen=True)
class Case:
    """A random model and a segment of random frames; ``new_frame_count`` of its frames belong to the clip."""

    model: TinyModel
    geometry: Geometry
    given_frame_count: int
    new_frame_count: int
    sampling: SamplingSpec


_CASES = {
    "A14B, 5 given": Case(
        TinyModel(is_5b=False, layer_count=2, head_count=2, solver_order=2, boundary_ratio=0.8, seed=11),
        Geometry(48, 32, 17),
        given_frame_count=5,
        new_frame_count=12,
        sampling=SamplingSpec(6, 3.5, 2.0, 0, 4.0),
    ),
    "A14B, 5 given, of the third order, cut": Case(
        TinyModel(is_5b=False, head_size=20, solver_order=3, boundary_ratio=0.9, seed=12),
        Geometry(32, 32, 17),
        given_frame_count=5,
        new_frame_count=4,
        sampling=SamplingSpec(5, 4.0, 1.0, 0, 2.5),
    ),
    "A14B, 1 given": Case(
        TinyModel(is_5b=False, layer_count=2, seed=13),
        Geometry(32, 48, 9),
        given_frame_count=1,
        new_frame_count=8,
        sampling=SamplingSpec(4, 3.0, 3.0, 0, 5.0),
    ),
    "5B, 1 given": Case(
        TinyModel(is_5b=True, layer_count=2, seed=14),
        Geometry(64, 64, 9),
        given_frame_count=1,
        new_frame_count=8,
        sampling=SamplingSpec(5, 4.0, None, 0, 5.0),
    ),
}


@pytest.mark.walk  # exports bundles; `make test` compares the put-back by hand (tests/generate/test_chain_run.py)
@pytest.mark.parametrize("case", _CASES.values(), ids=_CASES.keys())
def test_a_segment_equals_diffusers(case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    exported = export_tiny(tmp_path, case.model, (case.geometry,))
    draw, latent = np.random.default_rng(case.model.seed), exported.manifest.latent
    size = case.geometry.height_px, case.geometry.width_px
    given = list(draw.integers(0, 256, (case.given_frame_count, *size, 3), dtype=np.uint8))
    cells = (side // latent.spatial_stride for side in size)
    shape = 1, latent.channel_count, (case.geometry.frame_count - 1) // 4 + 1, *cells
    noise = draw.standard_normal(shape, dtype=np.float32)
    expected = _diffusers_frames(case, exported.checkpoint, given, noise)
    colours = record_colours(monkeypatch)
    frames = _engine_frames(case, exported.bundle, given, noise)
    actual = np.concatenate(colours)
    count = case.given_frame_count + case.new_frame_count
    assert actual.shape == (count, *size, 3)
    assert float(expected.std()) > 0.02  # a grey clip would prove nothing
    np.testing.assert_allclose(actual, expected[:count], rtol=0, atol=_TOLERANCE)
    np.testing.assert_array_equal(frames, np.rint(actual[case.given_frame_count :].clip(0, 1) * 255))


def _engine_frames(case: Case, bundle: Path, given: list[Pixels], noise: NDArray[np.float32]) -> NDArray[np.uint8]:
    """The new frames of the segment."""
    loaded = load_bundle(bundle, OrtRuntime(thread_count=1))
    engine = BundleEngine(loaded, text_cache_entry_count=4, join=PutBack(case.given_frame_count))
    buffer = io.BytesIO()
    Pillow.fromarray(given[0]).save(buffer, "PNG")
    video = VideoSpec(case.geometry.width_px, case.geometry.height_px, case.geometry.frame_count)
    job = engine.prepare(Job(Image(buffer.getvalue()), "a dolphin", _NEGATIVE_PROMPT, video, case.sampling))
    before: SegmentDone = segment_of(given, job.settings.frame_rate)
    chain = chain_of(job, ("a dolphin", _PROMPT), case.given_frame_count, case.new_frame_count, begins_after=(before,))
    events = engine.generate_from_noise(chain, noise, CancelFlag())
    return np.stack([event.pixels for event in events if isinstance(event, FrameReady)])


def _diffusers_frames(
    case: Case, checkpoint: Path, given: list[Pixels], noise: NDArray[np.float32]
) -> NDArray[np.float32]:
    """All frames of the segment."""
    pipeline = WanImageToVideoPipeline.from_pretrained(checkpoint, torch_dtype=torch.float32)
    pipeline.set_progress_bar_config(disable=True)
    pipeline.scheduler.register_to_config(flow_shift=case.sampling.shift)
    start = torch.from_numpy(noise.copy())
    latents = _encoded(pipeline, given)
    count = latents.shape[2]

    def put_back(pipe: Any, step: int, _: Any, tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        if len(given) > 1:
            sigma = pipe.scheduler.sigmas[step + 1]
            tensors["latents"][:, :, :count] = (1 - sigma) * latents + sigma * start[:, :, :count]
        return tensors

    output = pipeline(
        image=Pillow.fromarray(given[0]),
        prompt=_PROMPT,
        negative_prompt=_NEGATIVE_PROMPT,
        height=case.geometry.height_px,
        width=case.geometry.width_px,
        num_frames=case.geometry.frame_count,
        num_inference_steps=case.sampling.step_count,
        guidance_scale=case.sampling.guidance_scale,
        guidance_scale_2=case.sampling.guidance_scale_low_noise,
        latents=start.clone(),
        callback_on_step_end=put_back,
        output_type="np",
    )
    frames: NDArray[np.float32] = output.frames[0]
    return frames


def _encoded(pipeline: Any, frames: list[Pixels]) -> torch.Tensor:
    """Latents of frames, normalised with the checkpoint's mean and standard deviation."""
    pixels = torch.from_numpy(np.stack(frames)).float() / 127.5 - 1.0  # [frames, height, width, 3]
    with torch.no_grad():
        latents = pipeline.vae.encode(pixels.permute(3, 0, 1, 2)[None]).latent_dist.mode()
    mean, deviation = (torch.tensor(values).view(1, -1, 1, 1, 1) for values in _statistics(pipeline.vae.config))
    normalised: torch.Tensor = (latents - mean) / deviation
    return normalised


def _statistics(config: Any) -> tuple[list[float], list[float]]:
    return config.latents_mean, config.latents_std
