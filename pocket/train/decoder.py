"""Fine-tunes the autoencoder's decoder with the encoder frozen, so that the latents stay as the transformers know them.

The input latents carry a little noise, because latents that a transformer generates are never exact.
"""

from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKLWan
from numpy.typing import NDArray
from torch import Tensor

from pocket.settings import RUNS
from pocket.train.emphasis import frame_emphasis
from pocket.train.fast_vae import decode_at_once, make_cheap
from pocket.train.latents import LatentSet, unscale
from pocket.train.loop import train
from pocket.train.vae import PROJECTIONS, reconstruction_error, to_pixels

RUN = "vae_decoder"
_MOST_NOISE = 0.1
"""Largest standard deviation of the added noise; scaled latents have a deviation of about 1."""


def train_decoder(
    vae: AutoencoderKLWan, frames: NDArray[np.uint8], latents: LatentSet, folder: Path, device: torch.device
) -> AutoencoderKLWan:
    """Train the decoder of `vae` in place and return `vae`. frames: [clips, frames, height, width, 3] uint8."""
    make_cheap(vae).to(device).requires_grad_(False)
    for part in (vae.decoder, vae.post_quant_conv):
        part.requires_grad_(True)
    decode = torch.compile(decode_at_once(vae))  # takes 0.4 times as long on a CPU
    batch = RUNS[RUN].batch_size

    def loss_of_step(step: int) -> tuple[Tensor, dict[str, float]]:
        chosen = np.random.default_rng([step, 7]).integers(len(latents.clips), size=batch)
        clean = latents.clips[chosen]
        noisy = clean + _MOST_NOISE * torch.rand(batch, 1, 1, 1, 1) * torch.randn_like(clean)
        with torch.autocast(device.type, torch.bfloat16):
            decoded = decode(unscale(noisy, latents.mean, latents.std).to(device))
        pixels = to_pixels(np.array(frames[chosen])).to(device)
        return reconstruction_error(decoded.float(), pixels, frame_emphasis(chosen).to(device))

    train(RUN, vae, loss_of_step, RUNS[RUN], folder, adam_only=PROJECTIONS)
    return vae
