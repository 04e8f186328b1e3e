"""Encodes the training clips and their conditions into scaled latents, cached on disk."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKLWan
from numpy.typing import NDArray
from torch import Tensor

from pocket.train.progress import track
from pocket.train.state import save_atomically
from pocket.train.vae import to_pixels

_BATCH = 8
_SHARD_CLIPS = 250


@dataclass(frozen=True)
class LatentSet:
    """Scaled latents of the training clips and of their image conditions.

    clips, conditions: [clips, 16, latent frames, height / 8, width / 8] float32, about zero mean and unit variance.
    mean, std: [16], the scaling that was removed.
    """

    clips: Tensor
    conditions: Tensor
    mean: Tensor
    std: Tensor


def encode_training_set(vae: AutoencoderKLWan, frames: NDArray[np.uint8], folder: Path) -> LatentSet:
    """Encode the clips that `folder` does not hold yet. The scaling is measured on them once and saved.

    frames: [clips, frames, height, width, 3] uint8.
    """
    starts = range(0, len(frames), _SHARD_CLIPS)
    tracked = track(starts, "encoding clips", len(starts))
    shards = [_load_shard(vae, frames, start, folder / "latents") for start in tracked]
    clips, conditions = (torch.cat([shard[name] for shard in shards]) for name in ("clips", "conditions"))
    mean, std = _load_scaling(clips, folder)
    return LatentSet(scale(clips, mean, std), scale(conditions, mean, std), mean, std)


def save_scaling(folder: Path, mean: Tensor, std: Tensor) -> None:
    """Save mean and std, [16] each, as the scaling of all latents in a folder."""
    save_atomically(folder / "scaling.pt", {"mean": mean, "std": std})


def _load_scaling(clips: Tensor, folder: Path) -> tuple[Tensor, Tensor]:
    path = folder / "scaling.pt"
    if not path.exists():
        save_scaling(folder, clips.mean((0, 2, 3, 4)), clips.std((0, 2, 3, 4)))
    saved = torch.load(path, weights_only=True)
    return saved["mean"], saved["std"]


def _load_shard(vae: AutoencoderKLWan, frames: NDArray[np.uint8], start: int, folder: Path) -> dict[str, Tensor]:
    """Load (or encode and save) the unscaled latents of the clips from index `start` on."""
    stop = min(start + _SHARD_CLIPS, len(frames))
    path = folder / f"{start}_{stop}.pt"
    if not path.exists():
        clips, conditions = [], []
        for first in range(start, stop, _BATCH):
            pixels = to_pixels(np.array(frames[first : min(first + _BATCH, stop)])).to(vae.device)
            with torch.inference_mode():
                clips.append(vae.encode(pixels).latent_dist.mode().cpu())
                conditions.append(vae.encode(still_condition(pixels)).latent_dist.mode().cpu())
        save_atomically(path, {"clips": torch.cat(clips), "conditions": torch.cat(conditions)})
    shard: dict[str, Tensor] = torch.load(path, weights_only=True)
    return shard


def still_condition(pixels: Tensor) -> Tensor:
    """Keep the first frame and make the others grey: the image condition as Wan's pipeline encodes it."""
    condition = torch.zeros_like(pixels)
    condition[:, :, 0] = pixels[:, :, 0]
    return condition


def scale(latents: Tensor, mean: Tensor, std: Tensor) -> Tensor:
    """Subtract mean and divide by std, [16] each: latents [batch, 16, frames, height, width]."""
    shape = (1, -1, 1, 1, 1)
    return (latents - mean.view(shape)) / std.view(shape)


def unscale(latents: Tensor, mean: Tensor, std: Tensor) -> Tensor:
    """Multiply by std and add mean, [16] each: latents [batch, 16, frames, height, width]."""
    shape = (1, -1, 1, 1, 1)
    return latents * std.view(shape) + mean.view(shape)
