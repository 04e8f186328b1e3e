"""Decodes latents into frames, one latent frame at a time."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

import numpy as np

from engine.api.media import Pixels
from engine.generate.causal_vae_stream import CausalVaeStream
from engine.generate.preview import to_pixels
from engine.runtime.base import Array

MAX_PSNR_DB = 100.0  # of two equal pictures


def decode_frames(latents: Array, decoder: CausalVaeStream, frame_count: int) -> Iterator[Pixels]:
    """Yields the first frames of latents [1, z, T, h, w] in order, each as soon as it is decoded."""
    return islice(_all_frames(latents, decoder), frame_count)  # asks for no frame after the last


def _all_frames(latents: Array, decoder: CausalVaeStream) -> Iterator[Pixels]:
    for latent_index in range(latents.shape[2]):
        frames = decoder.run(latents[:, :, latent_index : latent_index + 1])  # [1, 3, 1 or 4, height, width]
        yield from to_pixels(frames[0].transpose(1, 2, 3, 0) / 2.0 + 0.5)


def psnr_db(actual: Pixels, expected: Pixels) -> float:
    """Peak signal-to-noise ratio of two 8-bit pictures in dB, at most ``MAX_PSNR_DB``."""
    error = float(np.mean((actual.astype(np.float64) - expected) ** 2))
    return MAX_PSNR_DB if error == 0 else min(10.0 * float(np.log10(255.0**2 / error)), MAX_PSNR_DB)
