"""Trains the video autoencoder in stages: single frames, short windows, whole clips."""

from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKLWan
from numpy.typing import NDArray
from torch import Tensor

from pocket.settings import CLIP_COUNT, LATENT_CHANNELS, RUNS
from pocket.train.clips import load_training_frames
from pocket.train.fast_vae import make_cheap, start_as_pictures
from pocket.train.loop import train
from pocket.world import FRAME_COUNT

_KL_WEIGHT = 1e-4
_ABSOLUTE_WEIGHT = 0.1
STAGES = (("vae_pictures", 1), ("vae_clips", 9), ("vae_whole", FRAME_COUNT))
"""(run, frames in its training window); starting with whole clips would learn far more slowly."""
PROJECTIONS = ("conv_in", "conv_out", "time_conv", "quant_conv")


def build_vae() -> AutoencoderKLWan:
    """Build the untrained autoencoder (2.6 M parameters)."""
    torch.manual_seed(0)
    return AutoencoderKLWan(
        base_dim=16,
        z_dim=LATENT_CHANNELS,
        dim_mult=[1, 2, 4, 4],
        num_res_blocks=1,
        temperal_downsample=[False, True, True],
        latents_mean=[0.0] * LATENT_CHANNELS,
        latents_std=[1.0] * LATENT_CHANNELS,
    )


def train_vae(folder: Path, device: torch.device) -> AutoencoderKLWan:
    """Train (or resume, or load) all stages and return the autoencoder with averaged weights."""
    frames = load_training_frames(folder / "cache", CLIP_COUNT)
    vae = build_vae()
    start_as_pictures(vae)
    make_cheap(vae).to(device)
    for run, window in STAGES:
        batch = RUNS[run].batch_size

        def loss_of_step(step: int, window: int = window, batch: int = batch) -> tuple[Tensor, dict[str, float]]:
            pixels = to_pixels(_draw_windows(frames, step, batch, window)).to(device)
            return reconstruction_loss(vae, pixels)

        train(run, vae, loss_of_step, RUNS[run], folder, adam_only=PROJECTIONS)
    return vae


def reconstruction_loss(vae: AutoencoderKLWan, pixels: Tensor) -> tuple[Tensor, dict[str, float]]:
    """Return reconstruction error plus weighted KL divergence, and figures for the log.

    pixels: [batch, 3, frames, height, width] in -1..1.
    """
    posterior = vae.encode(pixels).latent_dist
    decoded = vae.decode(posterior.sample()).sample
    error, figures = reconstruction_error(decoded, pixels)
    kl = posterior.kl().sum() / posterior.mean.numel()
    return error + _KL_WEIGHT * kl, {**figures, "kl": float(kl.detach())}


def reconstruction_error(
    decoded: Tensor, pixels: Tensor, weights: Tensor | None = None
) -> tuple[Tensor, dict[str, float]]:
    """Return the squared error plus a tenth of the absolute error, and the PSNR in dB for the log.

    weights: [batch, 1, frames, height, width], relative weight of each pixel in the error; the PSNR is unweighted.
    """
    difference = decoded - pixels
    squared, absolute = difference.square(), difference.abs()
    psnr_db = float(10.0 * torch.log10(4.0 / squared.detach().mean()))
    shares = 1.0 if weights is None else weights / weights.mean()
    error = ((squared + _ABSOLUTE_WEIGHT * absolute) * shares).mean()
    return error, {"psnr_db": psnr_db}


def to_pixels(frames: NDArray[np.uint8]) -> Tensor:
    """Convert [batch, frames, height, width, 3] uint8 to [batch, 3, frames, height, width] float32 in -1..1."""
    return torch.from_numpy(frames).permute(0, 4, 1, 2, 3).float() / 127.5 - 1.0


def to_frames(pixels: Tensor) -> NDArray[np.uint8]:
    """Convert [batch, 3, frames, height, width] in -1..1 to [batch, frames, height, width, 3] uint8."""
    bytes_ = ((pixels.detach().cpu() + 1.0) * 127.5).round().clamp(0, 255).to(torch.uint8)
    return bytes_.permute(0, 2, 3, 4, 1).numpy()


def _draw_windows(frames: NDArray[np.uint8], seed: int, batch: int, window: int) -> NDArray[np.uint8]:
    rng = np.random.default_rng(seed)
    clips = rng.integers(len(frames), size=batch)
    starts = rng.integers(frames.shape[1] - window + 1, size=batch)
    return np.stack([frames[c, s : s + window] for c, s in zip(clips, starts, strict=True)])
