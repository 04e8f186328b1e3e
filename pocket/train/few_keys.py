"""Cross-attention over a short caption that equals attention over 512 zero-padded rows.

All padding rows are alike (zero before the text projection), so that one of them with the
logarithm of their number added to its score stands for all. Used in training only.
"""

import math

import torch
from diffusers import WanTransformer3DModel
from diffusers.models.transformers.transformer_wan import WanAttention, WanAttnProcessor
from torch import Tensor

from pocket.settings import TEXT_TOKENS


class CountingProcessor(WanAttnProcessor):
    """The library's processor with a score offset for each key."""

    offsets: Tensor | None = None
    """[batch, 1, 1, keys] float32."""

    def __call__(
        self,
        attn: WanAttention,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor | None = None,
        attention_mask: Tensor | None = None,  # noqa: ARG002  the signature is the library's
        rotary_emb: tuple[Tensor, Tensor] | None = None,
    ) -> Tensor:
        """Attend with the offsets in place of a mask."""
        result: Tensor = super().__call__(attn, hidden_states, encoder_hidden_states, self.offsets, rotary_emb)
        return result


def count_padding_once(model: WanTransformer3DModel) -> CountingProcessor:
    """Give all cross-attentions of a model one shared processor and return it."""
    processor = CountingProcessor()
    for block in model.blocks:
        block.attn2.set_processor(processor)
    return processor


def shorten(states: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Zero the padding, append one padding row and return the score offsets.

    states: [batch, tokens, dim], mask: [batch, tokens] -> [batch, tokens + 1, dim] and
    [batch, 1, 1, tokens + 1].
    """
    batch, _, dim = states.shape
    kept = states * mask[..., None]
    rows = torch.cat([kept, kept.new_zeros(batch, 1, dim)], dim=1)
    absent = torch.zeros_like(states[..., 0]).masked_fill(mask == 0, -math.inf)
    missing = (TEXT_TOKENS - mask.sum(1, keepdim=True)).float()
    offsets = torch.cat([absent, missing.log()], dim=1)
    return rows, offsets[:, None, None]
