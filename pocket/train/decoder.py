"""Further training of the autoencoder's decoder alone, from latents that are already encoded.

The encoder stays as it is, so that the transformers' latents remain valid. A little noise on the
latents makes the decoder forgive what the transformers get wrong. Does not know text.
"""

from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKLWan
from numpy.typing import NDArray
from torch import Tensor

from pocket.settings import RUNS
from pocket.train.latents import LatentSet, unscale
from pocket.train.loop import train
from pocket.train.vae import PROJECTIONS, reconstruction_error, to_pixels

_LATENT_NOISE = 0.06
"""Standard deviation of the noise, in units of the latents' own deviation."""


def train_decoder(
    folder: Path, vae: AutoencoderKLWan, latents: LatentSet, frames: NDArray[np.uint8]
) -> AutoencoderKLWan:
    """Go on training the decoder on whole clips; returns the averaged autoencoder."""
    device = next(vae.parameters()).device
    vae.requires_grad_(True)
    vae.encoder.requires_grad_(False)
    vae.quant_conv.requires_grad_(False)
    batch = RUNS["vae_decoder"].batch_size

    def loss_of_step(step: int) -> tuple[Tensor, dict[str, float]]:
        rng = np.random.default_rng([step, 11])
        chosen = rng.integers(len(latents.clips), size=batch)
        scaled = latents.clips[chosen]
        noisy = scaled + _LATENT_NOISE * torch.randn_like(scaled)
        decoded = vae.decode(unscale(noisy, latents.mean, latents.std).to(device)).sample
        return reconstruction_error(decoded, to_pixels(frames[chosen]).to(device))

    train("vae_decoder", vae, loss_of_step, RUNS["vae_decoder"], folder, adam_only=PROJECTIONS)
    return vae.requires_grad_(False).eval()
