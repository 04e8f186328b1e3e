"""Projects latents to a small colour picture, without the VAE."""

from __future__ import annotations

import numpy as np

from engine.api.media import Pixels
from engine.bundle.manifest import PreviewSpec
from engine.runtime.base import Array


def preview_of(latents: Array, spec: PreviewSpec) -> Pixels:
    """The middle latent frame of [1, z, T, h, w] in colour, [h, w, 3]."""
    middle = latents[0, :, latents.shape[2] // 2]  # [z, h, w]
    colours = np.einsum("zhw,zc->hwc", middle, np.array(spec.matrix, np.float32)) + np.array(spec.bias, np.float32)
    return to_pixels(colours)


def to_pixels(colours: Array) -> Pixels:
    """Converts colours in 0..1 to uint8, rounded to the nearest."""
    return np.rint(np.clip(colours, 0.0, 1.0) * 255.0).astype(np.uint8)
