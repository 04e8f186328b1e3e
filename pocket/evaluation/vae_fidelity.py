"""Measures how well a checkpoint's autoencoder reconstructs drawn clips."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKLWan

from pocket.evaluation.judgement import psnr_db, subject_psnr_db
from pocket.train.vae import to_frames, to_pixels
from pocket.world import ClipSpec, render_clip


def vae_fidelity(checkpoint: Path, specs: Sequence[ClipSpec]) -> dict[str, float]:
    """Encode and decode the drawn clips of `specs`; return mean PSNRs in dB over all pixels and over the subject's."""
    vae = AutoencoderKLWan.from_pretrained(checkpoint / "vae", torch_dtype=torch.float32)
    everything, subject = [], []
    for spec in specs:
        drawn = render_clip(spec)
        with torch.inference_mode():
            latents = vae.encode(to_pixels(drawn.frames[None])).latent_dist.mode()
            decoded = to_frames(vae.decode(latents).sample)[0]
        everything.append(psnr_db(decoded, drawn.frames))
        subject.append(subject_psnr_db(decoded, drawn))
    means = {"vae_psnr_db": everything, "vae_subject_psnr_db": subject}
    return {name: round(float(np.mean(values)), 2) for name, values in means.items()}
