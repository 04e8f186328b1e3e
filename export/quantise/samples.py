"""Samples to calibrate a transformer on: clips with sentences, noised to the level of each step that it serves.

Diffusers' pipeline encodes texts and pictures. A known clip with noise of a step's level has the distribution of inputs
in a generation, without running the transformer for the steps before. A single picture is taken as a clip without
motion.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from engine.api.capabilities import Geometry
from engine.generate.schedule import flow_schedule
from engine.media.fitting import center_crop, fit_picture
from export.errors import ExportError
from export.pictures import read_picture
from export.weights.checkpoint import Checkpoint
from export.weights.parameters import load_weights

if TYPE_CHECKING:
    from diffusers import WanImageToVideoPipeline

_SENTENCES = (
    "a white cat jumps off the wall and runs to the left while the light fades",
    "a red car drives slowly along the coast road, the camera follows",
    "the person turns the head and smiles, hair moves in the wind",
    "海豚跃出海面，浪花四溅，镜头缓缓推近",
)


@dataclass(frozen=True)
class Pair:
    """A clip and its sentence. ``frames`` [count, height, width, 3] uint8, one frame for a picture."""

    frames: NDArray[np.uint8]
    sentence: str


def read_pairs(file: Path, geometry: Geometry) -> list[Pair]:
    """Reads lines of ``{"picture": FILE, "sentence": TEXT}``; picture paths are relative to the file.

    Pictures are cropped and scaled to ``geometry``. Raises ``ExportError`` naming the line and the fault.
    """
    pairs = []
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise ExportError(
            f"cannot read {file}: {error.strerror}; give a file of JSON lines with picture and sentence"
        ) from error
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            item = json.loads(line)
            picture, sentence = file.parent / item["picture"], str(item["sentence"])
            opened = read_picture(picture)
            pixels = fit_picture(opened, center_crop(opened, geometry), geometry)
        except (ValueError, KeyError, TypeError, ExportError) as error:
            raise ExportError(
                f'{file}, line {number}: {error}; write {{"picture": FILE, "sentence": TEXT}} with a readable picture'
            ) from error
        pairs.append(Pair(pixels[None], sentence))
    if not pairs:
        raise ExportError(f"{file}: holds no pair; write one JSON object per line")
    return pairs


def generated_pairs(geometry: Geometry, seed: int = 0) -> list[Pair]:
    """Generates pictures of coloured 1/f noise, the spectrum of photographs (Field 1987), with sentences."""
    draw = np.random.default_rng(seed)
    shape = (geometry.height_px, geometry.width_px)
    rows, columns = np.fft.fftfreq(shape[0])[:, None], np.fft.fftfreq(shape[1])[None]
    falloff = 1.0 / np.maximum(np.hypot(rows, columns), 1.0 / max(shape))
    pairs = []
    for sentence in _SENTENCES:
        channels = [np.fft.ifft2(np.fft.fft2(draw.standard_normal(shape)) * falloff).real for _ in range(3)]
        # Colour channels of photographs are correlated.
        shared = sum(channels)
        picture = np.stack([0.7 * shared + channel for channel in channels], axis=-1)
        picture = (picture - picture.mean()) / (4 * picture.std()) + 0.5
        pairs.append(Pair((picture.clip(0, 1) * 255).astype(np.uint8)[None], sentence))
    return pairs


class TransformerSamples:
    """Keyword arguments of a transformer's forward. Texts and clips are encoded once, when constructed."""

    def __init__(self, checkpoint: Checkpoint, pairs: Sequence[Pair], geometry: Geometry) -> None:
        self._checkpoint = checkpoint
        pipeline = _pipeline(checkpoint)
        with torch.no_grad():
            self._encoded = [_encode(pipeline, pair, geometry, seed) for seed, pair in enumerate(pairs)]

    def for_component(
        self, component: str, step_count: int, shift: float, samples_per_pair: int
    ) -> Iterator[dict[str, Any]]:
        """Samples at evenly spaced steps among those that the component serves, with and without the sentence.

        Raises ``ExportError`` if the component serves none of the steps.
        """
        boundary = self._checkpoint.boundary_timestep
        timesteps = [float(item) for item in flow_schedule(step_count, shift, 2).timesteps]
        if boundary is not None:
            is_high = component == "transformer"
            timesteps = [item for item in timesteps if (item >= boundary) == is_high]
        if not timesteps:
            raise ExportError(
                f"{component}: runs in none of {step_count} steps with shift {shift:g}; calibrate with more steps"
            )
        for index, encoded in enumerate(self._encoded):
            places = np.linspace(0, len(timesteps) - 1, samples_per_pair).round().astype(int)
            for place in dict.fromkeys(places.tolist()):
                yield encoded.at(timesteps[place], index, self._checkpoint.expand_timesteps)


@dataclass(frozen=True)
class _Encoded:
    """An encoded clip: latents [1, z, T, h, w], condition and mask, and two encoded texts [2, 512, size]."""

    latents: Tensor
    condition: Tensor
    mask: Tensor | None
    texts: Tensor

    def at(self, timestep: float, seed: int, expand_timesteps: bool) -> dict[str, Any]:
        """The transformer's arguments at a timestep in 0..1000; ``seed`` draws the noise."""
        sigma = timestep / 1000.0
        noise = torch.randn(self.latents.shape, generator=torch.Generator().manual_seed(seed))
        noisy = (1.0 - sigma) * self.latents + sigma * noise
        if expand_timesteps and self.mask is not None:
            noisy = (1 - self.mask) * self.condition + self.mask * noisy
            tokens = (self.mask[0, 0][:, ::2, ::2] * timestep).flatten()  # one for each patch of 2 x 2
            times = tokens.unsqueeze(0).expand(2, -1)
        else:
            noisy = torch.cat([noisy, self.condition], dim=1)
            times = torch.full((2,), timestep)
        return {
            "hidden_states": noisy.expand(2, -1, -1, -1, -1),
            "timestep": times,
            "encoder_hidden_states": self.texts,
            "return_dict": False,
        }


def _pipeline(checkpoint: Checkpoint) -> WanImageToVideoPipeline:
    """Diffusers' pipeline with text encoder and VAE and without a transformer.

    The VAE is in float32, the text encoder in the type in which most of its weights are stored.
    """
    from diffusers import UniPCMultistepScheduler, WanImageToVideoPipeline

    text_encoder, vae = checkpoint.text_encoder(), checkpoint.vae()
    shards = checkpoint.shards("text_encoder")
    load_weights(text_encoder, shards, Counter(shards.dtype(name) for name in shards.names()).most_common(1)[0][0])
    load_weights(vae, checkpoint.shards("vae"), torch.float32)
    return WanImageToVideoPipeline(
        tokenizer=checkpoint.tokenizer(),
        text_encoder=text_encoder,
        vae=vae,
        scheduler=UniPCMultistepScheduler(prediction_type="flow_prediction", use_flow_sigmas=True),
        boundary_ratio=checkpoint.settings.boundary_ratio,
        expand_timesteps=checkpoint.expand_timesteps,
    )


def _encode(pipeline: WanImageToVideoPipeline, pair: Pair, geometry: Geometry, seed: int) -> _Encoded:
    texts = torch.cat(
        pipeline.encode_prompt(pair.sentence, "", do_classifier_free_guidance=True, dtype=torch.float32)[:2]
    )
    frames = torch.from_numpy(pair.frames).float().div(127.5).sub(1.0).permute(3, 0, 1, 2)[None]  # [1, 3, F, H, W]
    if frames.shape[2] == 1:
        frames = frames.expand(-1, -1, geometry.frame_count, -1, -1)
    vae = pipeline.vae
    mean, std = (torch.tensor(item).view(1, -1, 1, 1, 1) for item in (vae.config.latents_mean, vae.config.latents_std))
    latents = (vae.encode(frames[:, :, : geometry.frame_count]).latent_dist.mode() - mean) / std
    _, condition, *mask = pipeline.prepare_latents(
        frames[:, :, 0],
        1,
        vae.config.z_dim,
        geometry.height_px,
        geometry.width_px,
        geometry.frame_count,
        torch.float32,
        torch.device("cpu"),
        torch.Generator().manual_seed(seed),
    )
    return _Encoded(latents, condition, mask[0] if mask else None, texts)
