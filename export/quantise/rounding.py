"""Four-bit rounding in blocks along the input axis: pure functions of float32 tensors.

Two methods lower the error of round-to-nearest, both measured in docs/log.md:

* each block takes the scale, of a few candidates, with the least rounding error (``block_scales``);
* where second moments of the inputs are known, the columns after each column compensate its error
  (``round_with_feedback``). This is GPTQ (Frantar et al. 2022, arXiv:2210.17323, equations 2 and 3) with the moments
  of neighbouring columns only: blocks on the diagonal of the matrix, so that memory grows with the width and not with
  its square, and an expert of 400 linears needs 1.6 GB of moments instead of 50.
"""

from __future__ import annotations

import torch
from torch import Tensor

LOWEST, HIGHEST = -8, 7
# Shares of the scale that would reach a block's largest value.
_CANDIDATES = (1.04, 1.0, 0.96, 0.92, 0.88, 0.84, 0.80, 0.76, 0.72, 0.68)
# Share of the mean square that is added to every square, against instability at inputs that are almost always zero.
_DAMPING = 0.1
_PANEL = 32  # columns that are rounded one by one before the rest is updated in one product
_CHUNK_VALUE_COUNT = 1 << 18  # rows are processed in chunks of this many values, which fit the cache


def block_scales(weight: Tensor, block_size: int, dtype: torch.dtype) -> Tensor:
    """Scales [outputs, inputs / block size] for a weight [outputs, inputs], exact in ``dtype``, given as float32.

    Candidates are rounded to ``dtype`` before they are compared, so that storing them loses nothing.
    """
    output_count, input_count = weight.shape
    rows = max(1, _CHUNK_VALUE_COUNT // input_count)
    return torch.cat(
        [_chunk_scales(chunk.reshape(len(chunk), -1, block_size), dtype) for chunk in weight.split(rows)]
    ).reshape(output_count, input_count // block_size)


def _chunk_scales(blocks: Tensor, dtype: torch.dtype) -> Tensor:
    """[rows, blocks, block size] to [rows, blocks]."""
    reach = blocks.abs().amax(-1, keepdim=True) / HIGHEST
    best = torch.ones_like(reach)
    least = torch.full_like(reach, torch.inf)
    for share in _CANDIDATES:
        scales = (reach * share).to(dtype).float()
        scales = torch.where(scales > 0, scales, 1.0)  # a block of zeros, or one that the type cannot scale
        error = (blocks / scales).round_().clamp_(LOWEST, HIGHEST).mul_(scales).sub_(blocks).square_()
        error = error.sum(-1, keepdim=True)
        best = torch.where(error < least, scales, best)
        least = torch.minimum(error, least)
    return best.squeeze(-1)


def round_to_nearest(weight: Tensor, scales: Tensor) -> Tensor:
    """Integers [outputs, inputs] int8 in -8..7 for a weight [outputs, inputs] and its scales."""
    blocks = weight.reshape(*scales.shape, -1)
    return (blocks / scales.unsqueeze(-1)).round_().clamp_(LOWEST, HIGHEST).to(torch.int8).reshape(weight.shape)


def round_with_feedback(weight: Tensor, scales: Tensor, moments: Tensor) -> Tensor:
    """As ``round_to_nearest``; minimises the error of outputs instead of the error of weights.

    ``moments`` [groups, size, size] float32 are mean products of neighbouring inputs, groups · size = inputs.
    """
    group_count, size, _ = moments.shape
    factors = _feedback(moments)  # [groups, size, size], upper
    rows = max(1, _CHUNK_VALUE_COUNT * 32 // weight.shape[1])
    block_size = weight.shape[1] // scales.shape[1]
    rounded = []
    for chunk, chunk_scales in zip(weight.split(rows), scales.split(rows), strict=True):
        # [groups, rows, size]: one product for each group.
        grouped = chunk.reshape(-1, group_count, size).transpose(0, 1).contiguous()
        spread = chunk_scales.repeat_interleave(block_size, dim=1)
        spread = spread.reshape(-1, group_count, size).transpose(0, 1).contiguous()
        rounded.append(_round_groups(grouped, spread, factors).transpose(0, 1).reshape(chunk.shape))
    return torch.cat(rounded)


def _feedback(moments: Tensor) -> Tensor:
    """Upper Cholesky factors of the inverse moments, each row divided by its diagonal."""
    squares = moments.diagonal(dim1=1, dim2=2)
    # Inputs that were always zero get any positive number: their columns then compensate nothing.
    extra = _DAMPING * squares.mean(1).clamp_min(torch.finfo(torch.float32).tiny)
    extra = torch.where(squares.sum(1) > 0, extra, 1.0)
    damped = moments.double() + extra.double()[:, None, None] * torch.eye(moments.shape[1], dtype=torch.float64)
    inverse = torch.cholesky_inverse(torch.linalg.cholesky(damped))
    upper = torch.linalg.cholesky(inverse, upper=True)
    return (upper / upper.diagonal(dim1=1, dim2=2).unsqueeze(-1)).float()


def _round_groups(weight: Tensor, scales: Tensor, factors: Tensor) -> Tensor:
    """[groups, rows, size] each; ``weight`` is changed on the way. Gives int8."""
    size = weight.shape[2]
    rounded = torch.empty_like(weight, dtype=torch.int8)
    for start in range(0, size, _PANEL):
        end = min(start + _PANEL, size)
        errors = torch.empty_like(weight[:, :, start:end])
        for column in range(start, end):
            values = weight[:, :, column]
            integers = (values / scales[:, :, column]).round_().clamp_(LOWEST, HIGHEST)
            rounded[:, :, column] = integers.to(torch.int8)
            error = values - integers * scales[:, :, column]
            errors[:, :, column - start] = error
            weight[:, :, column + 1 : end] -= error.unsqueeze(2) * factors[:, column, column + 1 : end].unsqueeze(1)
        weight[:, :, end:] -= errors @ factors[:, start:end, end:]
    return rounded
