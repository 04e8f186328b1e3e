"""Attention for training: equal to Diffusers' within rounding, and much faster on a CPU. Used in training only.

Two things differ. Scores, softmax and weighted sum are written out: for about a hundred tokens that is several times as
fast as the fused kernel, whose backward pass took 60 % of a step on a CPU. And cross-attention attends to a short
caption instead of 512 rows: all padding rows are equal (zero before the text projection), so one padding row stands for
n of them if log(n) is added to its score.
"""

import math

import torch
from diffusers import WanTransformer3DModel
from diffusers.models.transformers.transformer_wan import WanAttention, WanAttnProcessor
from torch import Tensor
from torch.nn import functional

from pocket.settings import TEXT_TOKENS

_ORDINARY_TOKENS = 31
"""The world's captions have at most 30 tokens."""


class PlainProcessor(WanAttnProcessor):
    """Attention as matrix product, softmax, matrix product, with a score offset for each key."""

    offsets: Tensor | None = None
    """[batch, 1, 1, keys] float32."""

    def __call__(
        self,
        attn: WanAttention,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor | None = None,
        attention_mask: Tensor | None = None,  # noqa: ARG002  part of Diffusers' signature
        rotary_emb: tuple[Tensor, Tensor] | None = None,
    ) -> Tensor:
        """Attend: [batch, tokens, dim] -> [batch, tokens, dim]. `attention_mask` is ignored; `offsets` replaces it."""
        source = hidden_states if encoder_hidden_states is None else encoder_hidden_states
        query = attn.norm_q(attn.to_q(hidden_states)).unflatten(2, (attn.heads, -1))
        key = attn.norm_k(attn.to_k(source)).unflatten(2, (attn.heads, -1))
        value = attn.to_v(source).unflatten(2, (attn.heads, -1))
        if rotary_emb is not None:
            query, key = _rotate(query, *rotary_emb), _rotate(key, *rotary_emb)
        query, key, value = (part.transpose(1, 2) for part in (query, key, value))
        scores = (query @ key.transpose(2, 3)) * query.shape[-1] ** -0.5  # [batch, heads, queries, keys]
        if self.offsets is not None:
            scores = scores + self.offsets
        weights = scores.softmax(dim=-1, dtype=torch.float32).to(value.dtype)
        attended = (weights @ value).transpose(1, 2).flatten(2)
        result: Tensor = attn.to_out[0](attended)
        return result


def attend_plainly(model: WanTransformer3DModel) -> PlainProcessor:
    """Replace a model's attention processors; return the one that all its cross-attentions share."""
    own, cross = PlainProcessor(), PlainProcessor()
    for block in model.blocks:
        block.attn1.set_processor(own)
        block.attn2.set_processor(cross)
    return cross


def shorten(states: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Zero the padding, append one row for all padding and return (rows, score offsets).

    states: [batch, tokens, dim], mask: [batch, tokens] -> [batch, rows, dim] and [batch, 1, 1, rows]. All captions of
    up to 31 tokens give the same number of rows, so that a model is compiled once.
    """
    missing_rows = max(0, _ORDINARY_TOKENS - states.shape[1])
    states, mask = functional.pad(states, (0, 0, 0, missing_rows)), functional.pad(mask, (0, missing_rows))
    batch, _, dim = states.shape
    kept = states * mask[..., None]
    rows = torch.cat([kept, kept.new_zeros(batch, 1, dim)], dim=1)
    absent = torch.zeros_like(states[..., 0]).masked_fill(mask == 0, -math.inf)
    missing = (TEXT_TOKENS - mask.sum(1, keepdim=True)).float()
    offsets = torch.cat([absent, missing.log()], dim=1)
    return rows, offsets[:, None, None]


def _rotate(states: Tensor, cosines: Tensor, sines: Tensor) -> Tensor:
    """Apply rotary position embedding. states: [batch, tokens, heads, channels]."""
    even, odd = states.unflatten(-1, (-1, 2)).unbind(-1)
    cosine, sine = cosines[..., 0::2], sines[..., 1::2]
    turned = torch.stack([even * cosine - odd * sine, even * sine + odd * cosine], dim=-1)
    return turned.flatten(-2).type_as(states)
