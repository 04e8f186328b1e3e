"""The configuration of a VAE from the shapes of its parameters."""

from __future__ import annotations

import math
from typing import Any

from export.errors import ExportError
from export.weights.names.configurations import KnownShapes, Shapes
from export.weights.names.latent_statistics import LATENT_STATISTICS

_PICTURE_CHANNELS = 3
_LAST = "encoder.conv_out.weight"


def vae_configuration(shapes: Shapes, label: str) -> dict[str, Any]:
    """``AutoencoderKLWan``'s configuration. ``label`` names the file in messages. Raises ``ExportError``.

    Mean and standard deviation of the latents are in no file and follow from the number of channels.
    """
    known = KnownShapes(label, shapes)
    z_dim = known.lengths("post_quant_conv.weight", 5)[0]
    statistics = LATENT_STATISTICS.get(z_dim)
    if statistics is None:
        raise ExportError(
            f"{label} is a VAE with {z_dim} latent channels; Wan2.2-I2V-A14B has 16 (wan_2.1_vae), Wan2.2-TI2V-5B has "
            "48 (wan2.2_vae)"
        )
    base_size, in_channels = known.lengths("encoder.conv_in.weight", 5)[:2]
    residual = "encoder.down_blocks.0.resnets.0.norm1.gamma" in known
    stages = _residual_stages(known) if residual else _flat_stages(known)
    if len(stages.halve_time) != len(stages.widths) - 1 or stages.widths[-1] != known.lengths(_LAST, 5)[1]:
        known.fail("lacks a stage or a resampler of the encoder")
    multiples = [known.divided(width, base_size, "a stage of the encoder") for width in stages.widths]
    patch = math.isqrt(known.divided(in_channels, _PICTURE_CHANNELS, "encoder.conv_in.weight"))
    decoder_width = known.lengths("decoder.conv_out.weight", 5)[1]
    configuration: dict[str, Any] = {
        "base_dim": base_size,
        "z_dim": z_dim,
        "dim_mult": multiples,
        "num_res_blocks": stages.block_count,
        "attn_scales": [],
        "temperal_downsample": stages.halve_time,
        "latents_mean": list(statistics.mean),
        "latents_std": list(statistics.std),
        "is_residual": residual,
        "in_channels": in_channels,
        "out_channels": known.lengths("decoder.conv_out.weight", 5)[0],
        "patch_size": patch if patch > 1 else None,
        "scale_factor_temporal": 2 ** sum(stages.halve_time),
        "scale_factor_spatial": patch * 2 ** len(stages.halve_time),
    }
    decoder_base_size = known.divided(decoder_width, multiples[0], "decoder.conv_out.weight")
    return configuration | ({} if decoder_base_size == base_size else {"decoder_base_dim": decoder_base_size})


class _Stages:
    """Stages of the encoder: ``widths`` after each, and which resamplers between them halve the time."""

    def __init__(self, widths: list[int], halve_time: list[bool], block_count: int) -> None:
        self.widths = widths
        self.halve_time = halve_time
        self.block_count = block_count


def _residual_stages(known: KnownShapes) -> _Stages:
    count = known.count("encoder.down_blocks.{}.resnets.0.conv2.weight")
    return _Stages(
        [known.lengths(f"encoder.down_blocks.{stage}.resnets.0.conv2.weight", 5)[0] for stage in range(count)],
        [f"encoder.down_blocks.{stage}.downsampler.time_conv.weight" in known for stage in range(count - 1)],
        known.count("encoder.down_blocks.0.resnets.{}.conv2.weight"),
    )


def _flat_stages(known: KnownShapes) -> _Stages:
    """The blocks of all stages count through; each resampler ends a stage."""
    block_count = known.count("encoder.down_blocks.{}.conv2.weight")
    widths: list[int] = []
    halve_time: list[bool] = []
    place = 0
    while f"encoder.down_blocks.{place}.conv2.weight" in known:
        last = place + block_count - 1
        widths.append(known.lengths(f"encoder.down_blocks.{last}.conv2.weight", 5)[0])
        place += block_count
        if f"encoder.down_blocks.{place}.resample.1.weight" in known:
            halve_time.append(f"encoder.down_blocks.{place}.time_conv.weight" in known)
            place += 1
    return _Stages(widths, halve_time, block_count)
