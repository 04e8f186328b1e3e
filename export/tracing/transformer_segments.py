"""Segments of the diffusion transformer, over the layers of Diffusers' ``WanTransformer3DModel``.

The forward is rewritten where the library's form makes a slow or large engine:

* rotation is stack and flatten instead of strided writes, which become ScatterND and keep one activation a layer alive;
* the timestep stays one row; where the first latent frame is the picture it is one row a latent frame, never one a
  token;
* both halves of guidance share one call, and what they have in common, up to the first cross-attention, is computed
  once;
* self-attention is one node, which ONNX Runtime computes without a matrix of scores: see ``export.attention``.

In half precision norms, modulation and residuals are computed in float32, as the library does.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from export.tracing.self_attention import attend, self_attend

Grid = tuple[int, int, int]  # tokens along time, height and width


class Opening(nn.Module):
    """``forward(latents, condition, timestep, prompt_embeds) -> tokens, time, modulation, text``.

    ``tokens`` [1, tokens, width]; ``time`` [1, F, width] and ``modulation`` [1, F, 6, width] in float32, F being 1 or
    the latent frames; ``text`` [B, rows, width].
    """

    def __init__(self, model: Any, frame_count: int, expand_timesteps: bool) -> None:
        super().__init__()
        self.patch_embedding = model.patch_embedding
        self.condition_embedder = model.condition_embedder
        self._frame_count, self._expand_timesteps = frame_count, expand_timesteps

    def forward(
        self, latents: Tensor, condition: Tensor, timestep: Tensor, prompt_embeds: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """See the class."""
        if self._expand_timesteps:
            hidden = torch.cat([condition, latents[:, :, 1:]], dim=2)
        else:
            hidden = torch.cat([latents, condition], dim=1)
        dtype = self.patch_embedding.weight.dtype
        tokens = self.patch_embedding(hidden.to(dtype)).flatten(2).transpose(1, 2)
        embedder = self.condition_embedder
        if self._expand_timesteps:  # the first latent frame is the clean picture: its time is 0
            timestep = torch.cat([torch.zeros_like(timestep), timestep])
        time = embedder.time_embedder(embedder.timesteps_proj(timestep)).to(dtype)
        modulation = embedder.time_proj(embedder.act_fn(time)).unflatten(1, (6, -1)).float()
        time = time.float()
        if self._expand_timesteps:
            further_count = self._frame_count - 1
            time = torch.cat([time[:1], time[1:].expand(further_count, -1)])
            modulation = torch.cat([modulation[:1], modulation[1:].expand(further_count, -1, -1)])
        return tokens, time.unsqueeze(0), modulation.unsqueeze(0), embedder.text_embedder(prompt_embeds.to(dtype))


class Block(nn.Module):
    """``forward(hidden, modulation, text, prompt_bias, cosines, sines) -> hidden``, [B, tokens, width].

    The first block takes one row of tokens, which both halves of guidance share, and gives one for each.
    """

    def __init__(self, block: Any) -> None:
        super().__init__()
        self.block = block

    def forward(  # noqa: PLR0917 - the tracer passes inputs by position
        self, hidden: Tensor, modulation: Tensor, text: Tensor, prompt_bias: Tensor, cosines: Tensor, sines: Tensor
    ) -> Tensor:
        """See the class."""
        block = self.block
        shift, scale, gate, ffn_shift, ffn_scale, ffn_gate = (block.scale_shift_table + modulation).unbind(2)
        normed = _modulate(block.norm1(hidden.float()), shift, scale).to(hidden.dtype)
        hidden = _add_scaled(hidden, _self_attention(block.attn1, normed, cosines, sines), gate)
        if hidden.shape[0] != text.shape[0]:
            hidden = hidden.expand(text.shape[0], -1, -1)
        normed = block.norm2(hidden.float()).to(hidden.dtype)
        hidden = hidden + _cross_attention(block.attn2, normed, text, prompt_bias)
        normed = _modulate(block.norm3(hidden.float()), ffn_shift, ffn_scale).to(hidden.dtype)
        return _add_scaled(hidden, block.ffn(normed), ffn_gate)


class Closing(nn.Module):
    """``forward(hidden, time) -> prediction``: [B, tokens, width] to [B, z, T, h, w] in float32."""

    def __init__(self, model: Any, grid: Grid) -> None:
        super().__init__()
        self.norm_out, self.proj_out = model.norm_out, model.proj_out
        self.scale_shift_table = model.scale_shift_table
        self._patch, self._grid = tuple(model.config.patch_size), grid

    def forward(self, hidden: Tensor, time: Tensor) -> Tensor:
        """See the class."""
        shift, scale = (self.scale_shift_table.unsqueeze(0) + time.unsqueeze(2)).unbind(2)
        normed = _modulate(self.norm_out(hidden.float()), shift, scale).to(hidden.dtype)
        tokens = self.proj_out(normed).float()  # [B, tokens, patch · z]
        cells = tokens.unflatten(2, (*self._patch, -1)).unflatten(1, self._grid)  # [B, T, H, W, pt, ph, pw, z]
        return cells.permute(0, 7, 1, 4, 2, 5, 3, 6).flatten(6, 7).flatten(4, 5).flatten(2, 3)


def _modulate(hidden: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
    """``hidden * (1 + scale) + shift`` with shift and scale [1, F, width]."""
    framed = hidden.unflatten(1, (shift.shape[1], -1))  # [B, F, tokens / F, width]
    return (framed * (1 + scale.unsqueeze(2)) + shift.unsqueeze(2)).flatten(1, 2)


def _add_scaled(hidden: Tensor, change: Tensor, gate: Tensor) -> Tensor:
    """``hidden + change * gate`` in float32, with gate [1, F, width]."""
    scaled = (change.float().unflatten(1, (gate.shape[1], -1)) * gate.unsqueeze(2)).flatten(1, 2)
    return (hidden.float() + scaled).to(hidden.dtype)


def _self_attention(attention: Any, hidden: Tensor, cosines: Tensor, sines: Tensor) -> Tensor:
    query, key = (
        _rotate(norm(projection(hidden)).unflatten(2, (attention.heads, -1)), cosines, sines).flatten(2)
        for norm, projection in ((attention.norm_q, attention.to_q), (attention.norm_k, attention.to_k))
    )
    return _projected(attention, self_attend(query, key, attention.to_v(hidden), attention.heads))


def _cross_attention(attention: Any, hidden: Tensor, text: Tensor, text_bias: Tensor) -> Tensor:
    query, key = attention.norm_q(attention.to_q(hidden)), attention.norm_k(attention.to_k(text))
    bias = text_bias[:, None, None, :].to(hidden.dtype)
    return _projected(attention, attend(query, key, attention.to_v(text), attention.heads, bias))


def _projected(attention: Any, mixed: Tensor) -> Tensor:
    projected: Tensor = attention.to_out[0](mixed)
    return projected


def _rotate(features: Tensor, cosines: Tensor, sines: Tensor) -> Tensor:
    """Turns neighbouring pairs of features, [B, tokens, heads, head size], in float32."""
    first, second = features.float().unflatten(-1, (-1, 2)).unbind(-1)
    turned = (first * cosines - second * sines, first * sines + second * cosines)
    return torch.stack(turned, dim=-1).flatten(-2).to(features.dtype)
