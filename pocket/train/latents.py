"""Clips and pictures as latents, encoded once and kept on disk.

Knows the autoencoder's encoder and the scaling of its latents. Does not know text or noise.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKLWan
from numpy.typing import NDArray
from torch import Tensor

from pocket.train.progress import track
from pocket.train.vae import to_pixels

_BATCH = 8


@dataclass(frozen=True)
class LatentSet:
    """Scaled latents of the training clips and of their conditions.

    clips, conditions: [clips, 16, latent frames, height / 8, width / 8] float32, about unit
    variance. mean, std: [16], the scaling that was taken out.
    """

    clips: Tensor
    conditions: Tensor
    mean: Tensor
    std: Tensor


def encode_training_set(vae: AutoencoderKLWan, frames: NDArray[np.uint8], folder: Path) -> LatentSet:
    """Encode (or load) the clips; the scaling is measured on them."""
    path = folder / "latents.pt"
    if path.exists():
        saved = torch.load(path, weights_only=True)
        return LatentSet(**saved)
    clips, conditions = [], []
    starts = range(0, len(frames), _BATCH)
    for start in track(starts, "encoding clips", len(starts)):
        pixels = to_pixels(np.array(frames[start : start + _BATCH]))
        pixels = pixels.to(vae.device)
        with torch.inference_mode():
            clips.append(vae.encode(pixels).latent_dist.mode().cpu())
            conditions.append(vae.encode(still_condition(pixels)).latent_dist.mode().cpu())
    clip_latents, condition_latents = torch.cat(clips), torch.cat(conditions)
    mean = clip_latents.mean((0, 2, 3, 4))
    std = clip_latents.std((0, 2, 3, 4))
    latents = LatentSet(scale(clip_latents, mean, std), scale(condition_latents, mean, std), mean, std)
    partial = path.with_suffix(".partial")
    torch.save(vars(latents), partial)
    partial.replace(path)
    return latents


def still_condition(pixels: Tensor) -> Tensor:
    """Keep the first frame and make the others grey: what the pipeline encodes as condition."""
    condition = torch.zeros_like(pixels)
    condition[:, :, 0] = pixels[:, :, 0]
    return condition


def scale(latents: Tensor, mean: Tensor, std: Tensor) -> Tensor:
    """Take mean and deviation, [16] each, out of latents [batch, 16, frames, height, width]."""
    shape = (1, -1, 1, 1, 1)
    return (latents - mean.view(shape)) / std.view(shape)


def unscale(latents: Tensor, mean: Tensor, std: Tensor) -> Tensor:
    """Put mean and deviation, [16] each, back into latents [batch, 16, frames, height, width]."""
    shape = (1, -1, 1, 1, 1)
    return latents * std.view(shape) + mean.view(shape)
