"""Names of the VAE: the official ``WanVAE_`` of ``wan/modules/vae2_1.py`` (z16) and ``vae2_2.py`` (z48, residual).

ComfyUI's single files have the official names. Diffusers groups blocks by stage where the official z16 decoder counts
through, so that the tables depend on the numbers of stages and of blocks in a stage, which the names of a file show.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator

from export.weights.names.table import GAMMA, Row

_MAX_STAGES = 16
_MAX_BLOCKS = 64
_SHARED = (
    *(
        row
        for half in ("encoder", "decoder")
        for row in (
            Row(f"{half}.conv_in", f"{half}.conv1"),
            Row(f"{half}.mid_block.attentions.0.norm", f"{half}.middle.1.norm", GAMMA),
            Row(f"{half}.mid_block.attentions.0.to_qkv", f"{half}.middle.1.to_qkv"),
            Row(f"{half}.mid_block.attentions.0.proj", f"{half}.middle.1.proj"),
            Row(f"{half}.norm_out", f"{half}.head.0", GAMMA),
            Row(f"{half}.conv_out", f"{half}.head.2"),
        )
    ),
    Row("quant_conv", "conv1"),
    Row("post_quant_conv", "conv2"),
)


def _residual_block(inside: str, official: str) -> tuple[Row, ...]:
    return (
        Row(f"{inside}.norm1", f"{official}.residual.0", GAMMA),
        Row(f"{inside}.conv1", f"{official}.residual.2"),
        Row(f"{inside}.norm2", f"{official}.residual.3", GAMMA),
        Row(f"{inside}.conv2", f"{official}.residual.6"),
        Row(f"{inside}.conv_shortcut", f"{official}.shortcut"),
    )


def _resampler(inside: str, official: str) -> tuple[Row, ...]:
    return (
        Row(f"{inside}.resample.1", f"{official}.resample.1"),
        Row(f"{inside}.time_conv", f"{official}.time_conv"),
    )


def _middle() -> Iterator[Row]:
    for half in ("encoder", "decoder"):
        for block, place in ((0, 0), (1, 2)):  # the attention lies between the two
            yield from _residual_block(f"{half}.mid_block.resnets.{block}", f"{half}.middle.{place}")


def flat_rows(stage_count: int, block_count: int) -> tuple[Row, ...]:
    """Rows of the z16 VAE with ``block_count`` residual blocks in a stage of the encoder (one more in the decoder).

    The encoder counts through in both layouts.
    """
    blocks: list[Row] = [
        *_residual_block("encoder.down_blocks.{}", "encoder.downsamples.{}"),
        *_resampler("encoder.down_blocks.{}", "encoder.downsamples.{}"),
    ]
    place = 0
    for stage in range(stage_count):
        for block in range(block_count + 1):
            blocks += _residual_block(f"decoder.up_blocks.{stage}.resnets.{block}", f"decoder.upsamples.{place}")
            place += 1
        if stage < stage_count - 1:
            blocks += _resampler(f"decoder.up_blocks.{stage}.upsamplers.0", f"decoder.upsamples.{place}")
            place += 1
    return (*_SHARED, *_middle(), *blocks)


def residual_rows(stage_count: int, block_count: int) -> tuple[Row, ...]:
    """Rows of the z48 VAE, whose stages are groups in both layouts; the resampler of a stage is its last member."""
    blocks: list[Row] = [
        *_residual_block("encoder.down_blocks.{}.resnets.{}", "encoder.downsamples.{}.downsamples.{}"),
        *_residual_block("decoder.up_blocks.{}.resnets.{}", "decoder.upsamples.{}.upsamples.{}"),
    ]
    for stage in range(stage_count - 1):
        blocks += _resampler(
            f"encoder.down_blocks.{stage}.downsampler", f"encoder.downsamples.{stage}.downsamples.{block_count}"
        )
        blocks += _resampler(
            f"decoder.up_blocks.{stage}.upsampler", f"decoder.upsamples.{stage}.upsamples.{block_count + 1}"
        )
    return (*_SHARED, *_middle(), *blocks)


def vae_rows(names: Collection[str]) -> tuple[Row, ...]:
    """The rows for a VAE with these names, in either layout and without prefix. Numbers of stages come from the names.

    Names of no VAE, or with absurd indices, give the rows of the official z16 VAE.
    """
    residual = any(
        re.match(r"encoder\.(?:down_blocks\.\d+\.resnets|downsamples\.\d+\.downsamples)\.", name) for name in names
    )
    if residual:
        blocks = _count(names, r"decoder\.(?:up_blocks\.0\.resnets|upsamples\.0\.upsamples)\.(\d{1,4})\.(?:res|norm)")
        stages = _count(names, r"decoder\.up(?:_block|sample)s\.(\d{1,4})\.")
        # In the official layout the resampler of a stage is counted with its residual blocks.
        resampler = _indices(names, r"decoder\.upsamples\.0\.upsamples\.(\d{1,4})\.resample\.")
        return residual_rows(*_bounded(stages, min(resampler, default=blocks)))
    resamplers = _indices(names, r"decoder\.upsamples\.(\d{1,4})\.resample\.")
    if resamplers:  # official: the first resampler follows the blocks of the first stage
        return flat_rows(*_bounded(len(resamplers) + 1, min(resamplers)))
    blocks = _count(names, r"decoder\.up_blocks\.0\.resnets\.(\d{1,4})\.")
    return flat_rows(*_bounded(_count(names, r"decoder\.up_blocks\.(\d{1,4})\."), blocks))


def _bounded(stage_count: int, decoder_block_count: int) -> tuple[int, int]:
    """Numbers of stages and of blocks in a stage of the encoder; the official ones for 0."""
    return min(stage_count or 4, _MAX_STAGES), min(decoder_block_count or 3, _MAX_BLOCKS) - 1


def _indices(names: Collection[str], pattern: str) -> set[int]:
    compiled = re.compile(pattern)
    return {int(found.group(1)) for name in names if (found := compiled.match(name))}


def _count(names: Collection[str], pattern: str) -> int:
    return max(_indices(names, pattern), default=-1) + 1
