"""Faster forward passes for training the video autoencoder, equal to Diffusers' within rounding.

A causal 3x3x3 convolution becomes one 2-D convolution over frames stacked in the channels; for a single frame it needs
only the last temporal slice of the kernel. The norm makes fewer passes over memory. Only `forward` of module instances
is replaced, so saved weights do not change.
"""

from collections.abc import Callable
from types import MethodType

import torch
from diffusers import AutoencoderKLWan
from diffusers.models.autoencoders.autoencoder_kl_wan import WanCausalConv3d, WanResample, WanRMS_norm
from torch import Tensor
from torch.nn import functional


def make_cheap(vae: AutoencoderKLWan) -> AutoencoderKLWan:
    """Replace the forward functions of this instance's convolutions and norms, and return it."""
    for module in vae.modules():
        if isinstance(module, WanCausalConv3d) and module.kernel_size == (3, 3, 3):
            module.forward = MethodType(_convolve, module)
        elif isinstance(module, WanRMS_norm):
            module.forward = MethodType(_normalise, module)
    return vae


def start_as_pictures(vae: AutoencoderKLWan) -> None:
    """Set the temporal weights in place so that the model starts by treating each frame as a single picture.

    Convolutions use the current frame only; temporal downsampling keeps the last frame of a group, upsampling repeats
    it.
    """
    with torch.no_grad():
        for module in vae.modules():
            if not isinstance(module, WanCausalConv3d):
                continue
            if module.kernel_size == (3, 3, 3):
                module.weight[:, :, :2] = 0.0
            elif module.kernel_size == (3, 1, 1):
                repeats = module.out_channels // module.in_channels
                identity = torch.eye(module.in_channels).repeat(repeats, 1)
                module.weight.zero_()
                module.weight[:, :, 2, 0, 0] = identity
                if module.bias is not None:
                    module.bias.zero_()


def decode_at_once(vae: AutoencoderKLWan) -> Callable[[Tensor], Tensor]:
    """Return a decoder of whole clips: [batch, 16, latent frames, h, w] -> [batch, 3, frames, 8 h, 8 w], not clamped.

    Diffusers decodes one latent frame at a time and carries the last frames of each convolution over. The convolutions
    are causal, so one pass over all frames gives the same. Only the first latent frame is not doubled in time.
    """
    for module in vae.decoder.modules():
        if isinstance(module, WanResample) and module.mode == "upsample3d":
            module.forward = MethodType(_upsample, module)

    def decode(latents: Tensor) -> Tensor:
        decoded: Tensor = vae.decoder(vae.post_quant_conv(latents))
        return decoded

    return decode


def _upsample(self: WanResample, x: Tensor) -> Tensor:
    # x: [batch, channels, frames, height, width] -> [batch, channels / 2, 2 frames - 1, 2 height, 2 width]
    first, rest = x[:, :, :1], x[:, :, 1:]
    pairs = self.time_conv(rest).unflatten(1, (2, -1))  # [batch, 2, channels, frames - 1, height, width]
    doubled = torch.stack(pairs.unbind(1), dim=3).flatten(2, 3)
    x = torch.cat([first, doubled], dim=2)
    frames = x.shape[2]
    flat = self.resample(x.transpose(1, 2).flatten(0, 1))
    return flat.unflatten(0, (-1, frames)).transpose(1, 2)


def _convolve(self: WanCausalConv3d, x: Tensor, cache_x: Tensor | None = None) -> Tensor:
    # x: [batch, channels, frames, height, width]
    if cache_x is None and x.shape[2] == 1:
        return functional.conv2d(x[:, :, 0], self.weight[:, :, 2], self.bias, padding=1).unsqueeze(2)
    missing = 2
    if cache_x is not None:
        x = torch.cat([cache_x, x], dim=2)
        missing -= cache_x.shape[2]
    x = functional.pad(x, (0, 0, 0, 0, missing, 0))
    batch, channels, padded, height, width = x.shape
    frames = padded - 2
    stacked = torch.cat([x[:, :, start : start + frames] for start in range(3)], dim=1)
    stacked = stacked.transpose(1, 2).reshape(batch * frames, 3 * channels, height, width)
    kernel = self.weight.transpose(1, 2).reshape(self.out_channels, 3 * channels, 3, 3)
    flat = functional.conv2d(stacked, kernel, self.bias, padding=1)
    return flat.reshape(batch, frames, self.out_channels, height, width).transpose(1, 2)


def _normalise(self: WanRMS_norm, x: Tensor) -> Tensor:
    length = (x * x).sum(dim=1, keepdim=True).clamp_min(1e-24)
    return x * (torch.rsqrt(length) * self.scale) * self.gamma
