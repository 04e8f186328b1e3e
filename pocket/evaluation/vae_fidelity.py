"""How well a checkpoint's autoencoder keeps drawn clips. Knows nothing of generation."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKLWan

from pocket.evaluation.judgement import psnr_db
from pocket.train.vae import to_frames, to_pixels
from pocket.world import ClipSpec, render_clip


def vae_clip_psnr_db(checkpoint: Path, specs: Sequence[ClipSpec]) -> float:
    """Encode and decode the clips of `specs`; return the mean PSNR over clips in dB."""
    vae = AutoencoderKLWan.from_pretrained(checkpoint / "vae", torch_dtype=torch.float32)
    values = []
    for spec in specs:
        frames = render_clip(spec).frames
        with torch.inference_mode():
            latents = vae.encode(to_pixels(frames[None])).latent_dist.mode()
            decoded = to_frames(vae.decode(latents).sample)[0]
        values.append(psnr_db(decoded, frames))
    return round(float(np.mean(values)), 2)
