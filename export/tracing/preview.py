"""Fits the linear projection from latents to colours that the engine's previews use."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional

from engine.bundle.manifest import PreviewSpec

if TYPE_CHECKING:
    from diffusers import AutoencoderKLWan

_CELLS_PER_SIDE = 8
_FIT_PICTURE_COUNT, _TEST_PICTURE_COUNT = 24, 8


def fit_preview(vae: AutoencoderKLWan) -> PreviewSpec:
    """Fits by least squares over generated pictures: coloured noise with the spectrum of photographs.

    The target colour of a latent cell is the mean of its pixels. R² is measured on pictures left out of the fit.
    """
    pictures = _pictures(_FIT_PICTURE_COUNT + _TEST_PICTURE_COUNT, _CELLS_PER_SIDE * vae.config.scale_factor_spatial)
    with torch.no_grad():
        cells = torch.cat([_latents(vae, picture) for picture in pictures])  # [pictures, cells, channels]
    colours = functional.avg_pool2d(pictures, vae.config.scale_factor_spatial).flatten(2).transpose(1, 2)
    inputs = torch.cat([cells, torch.ones(*cells.shape[:2], 1)], dim=2).double()
    fit = slice(0, _FIT_PICTURE_COUNT)
    solution = torch.linalg.lstsq(
        inputs[fit].flatten(0, 1), colours[fit].flatten(0, 1).double(), driver="gelsd"
    ).solution
    actual = colours[_FIT_PICTURE_COUNT:].flatten(0, 1).double()
    residual = actual - inputs[_FIT_PICTURE_COUNT:].flatten(0, 1) @ solution
    r_squared = 1.0 - float(residual.square().sum() / (actual - actual.mean(dim=0)).square().sum())
    matrix = [tuple(row) for row in solution[:-1].tolist()]
    return PreviewSpec(matrix=tuple(matrix), bias=tuple(solution[-1].tolist()), r_squared=r_squared)


def _latents(vae: AutoencoderKLWan, picture: Tensor) -> Tensor:
    """Encodes a picture [3, side, side] in 0..1 to normalised latents [1, cells, channels]."""
    mean, std = (
        torch.tensor(values).view(1, -1, 1, 1, 1) for values in (vae.config.latents_mean, vae.config.latents_std)
    )
    latent = vae.encode(picture[None, :, None] * 2 - 1).latent_dist.mode()
    return ((latent - mean) / std).flatten(2).transpose(1, 2)


def _pictures(count: int, side_px: int) -> Tensor:
    """Draws [count, 3, side, side] in 0..1. Amplitudes fall as 1 / frequency, as in photographs."""
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(count, 3, side_px, side_px, generator=generator)
    frequency = torch.fft.fftfreq(side_px).square()
    radius = (frequency[:, None] + frequency[None, :]).sqrt().clamp(min=1 / side_px)
    smooth = torch.fft.ifft2(torch.fft.fft2(noise) / radius).real
    smooth = smooth / smooth.std(dim=(2, 3), keepdim=True)
    shade = smooth.mean(dim=1, keepdim=True) * 0.8 + smooth * 0.4  # channels of a photograph are correlated
    level = torch.rand(count, 3, 1, 1, generator=generator)
    return (shade * 0.2 + level).clamp(0, 1)
