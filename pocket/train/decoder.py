"""The autoencoder's decoder goes on alone, when its latents are in use and may not change any more.

It sees latents with a little noise, as those that a transformer made are never quite right. Knows latents and pixels.
Does not know text.
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
"""Deviation of the noise, relative to that of the latents."""


def train_decoder(
    vae: AutoencoderKLWan, frames: NDArray[np.uint8], latents: LatentSet, folder: Path, device: torch.device
) -> AutoencoderKLWan:
    """Train the decoder in place on frames [clips, frames, height, width, 3] and their latents."""
    make_cheap(vae).to(device).requires_grad_(False)
    for part in (vae.decoder, vae.post_quant_conv):
        part.requires_grad_(True)
    decode = torch.compile(decode_at_once(vae))  # two fifths of the time on a CPU
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
