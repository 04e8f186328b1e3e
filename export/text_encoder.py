"""The umT5 text encoder as one graph. Knows the layers of ``UMT5EncoderModel``; knows no tokenizer.

The forward is written again over the checkpoint's own layers, because the library works out the bucket of every
pair of positions anew in each layer; here the buckets are one constant.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from export.graph import TracedModule

if TYPE_CHECKING:
    from transformers import UMT5EncoderModel

TOKEN_COUNT = 512


class TextEncoderGraph(nn.Module):
    """``forward(input_ids, attention_mask) -> prompt_embeds``: [1, 512] int64 twice to [1, 512, text size].

    Rows of padding are zeros: the transformer attends to all 512 rows, and was trained on zeros there.
    """

    def __init__(self, model: UMT5EncoderModel) -> None:
        super().__init__()
        self.model: Any = model
        attention = self.model.encoder.block[0].layer[0].SelfAttention
        positions = torch.arange(TOKEN_COUNT)
        with torch.no_grad():
            buckets = attention._relative_position_bucket(positions[None, :] - positions[:, None])  # noqa: SLF001
        # [512, 512], row: the position that attends. Bytes, because this constant is most of the graph file.
        self.buckets = nn.Buffer(buckets.to(torch.uint8))

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """See the class."""
        encoder = self.model.encoder
        hidden = encoder.embed_tokens(input_ids)
        absent = (1 - attention_mask).to(hidden.dtype)[:, None, None, :] * torch.finfo(hidden.dtype).min
        for block in encoder.block:
            hidden = self._attend(block.layer[0], hidden, absent)
            hidden = block.layer[1](hidden)
        return encoder.final_layer_norm(hidden) * attention_mask.unsqueeze(-1).to(hidden.dtype)

    def _attend(self, layer: Any, hidden: Tensor, absent: Tensor) -> Tensor:
        attention = layer.SelfAttention
        normed = layer.layer_norm(hidden)
        query, key, value = (
            projection(normed).unflatten(2, (attention.n_heads, -1)).transpose(1, 2)  # [1, heads, 512, head size]
            for projection in (attention.q, attention.k, attention.v)
        )
        bias = attention.relative_attention_bias(self.buckets.long()).permute(2, 0, 1)  # [heads, 512, 512]
        scores = query @ key.transpose(2, 3) + bias + absent  # umT5 does not divide by the root of the head size
        return hidden + attention.o((scores.softmax(dim=-1) @ value).transpose(1, 2).flatten(2))


def text_encoder_graph(model: UMT5EncoderModel) -> TracedModule:
    """The graph with an example of 17 tokens, the rest padding."""
    generator = torch.Generator().manual_seed(0)
    input_ids = torch.zeros(1, TOKEN_COUNT, dtype=torch.int64)
    input_ids[:, :17] = torch.randint(1, model.config.vocab_size, (1, 17), generator=generator)
    attention_mask = (torch.arange(TOKEN_COUNT) < 17).long().unsqueeze(0)

    def library(input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        encoded: Any = model(input_ids=input_ids, attention_mask=attention_mask)
        return encoded.last_hidden_state * attention_mask.unsqueeze(-1)

    return TracedModule(
        TextEncoderGraph(model),
        {"input_ids": input_ids, "attention_mask": attention_mask},
        ("prompt_embeds",),
        library=library,
    )
