"""Encodes a picture into the image conditioning of the transformer, for both model families, and frames to latents."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from engine.api.media import Pixels
from engine.generate.causal_vae_stream import CausalVaeStream
from engine.runtime.base import Array

_FRAMES_PER_STEP = 4
_MASK_CHANNEL_COUNT = 4


def to_model_range(picture: Pixels) -> Array:
    """Converts [height, width, 3] uint8 to [1, 3, 1, height, width] float32 in -1..1."""
    return (picture.astype(np.float32) / 255.0 * 2.0 - 1.0).transpose(2, 0, 1)[None, :, None]


def picture_as_channels(picture: Pixels, latent_frame_count: int, encoder: CausalVaeStream) -> Array:
    """Image conditioning of I2V-A14B: [1, 4 + z, T, h, w].

    The VAE encodes a clip of the picture followed by grey frames. Four mask channels, one for each frame of a latent
    frame, mark the given frames: all four of the first latent frame, none of the others.
    """
    first = to_model_range(picture)
    grey = np.zeros((1, 3, _FRAMES_PER_STEP, *picture.shape[:2]), np.float32)
    chunks = [first] + [grey] * (latent_frame_count - 1)
    latents = np.concatenate([encoder.run(chunk) for chunk in chunks], axis=2)  # [1, z, T, h, w]
    mask = np.zeros((1, _MASK_CHANNEL_COUNT, *latents.shape[2:]), np.float32)
    mask[:, :, 0] = 1.0
    return np.concatenate([mask, latents], axis=1)


def picture_as_first_frame(picture: Pixels, encoder: CausalVaeStream) -> Array:
    """Image conditioning of TI2V-5B: the latent of the picture, [1, z, 1, h, w]."""
    return encoder.run(to_model_range(picture))


def frames_as_latents(frames: Sequence[Pixels], encoder: CausalVaeStream) -> Array:
    """Latents of 4n + 1 frames as one clip, normalised as those of the conditioning: [1, z, n + 1, h, w]."""
    pixels = np.concatenate([to_model_range(frame) for frame in frames], axis=2)  # [1, 3, frames, height, width]
    chunks = [pixels[:, :, :1]]
    chunks += [pixels[:, :, at : at + _FRAMES_PER_STEP] for at in range(1, len(frames), _FRAMES_PER_STEP)]
    return np.concatenate([encoder.run(chunk) for chunk in chunks], axis=2)
