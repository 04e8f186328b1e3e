"""The umT5 text encoder as one graph, over the layers of Transformers' ``UMT5EncoderModel``.

The forward is rewritten, because the library computes the position bucket of every pair of tokens anew in each layer;
here the buckets are one constant. The residual stream is float32 in every precision, as it becomes in the library,
which keeps the second half of each feed-forward in float32.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from export.tracing.example import Example
from export.tracing.module_graph import ModuleGraph, Segment, TracedModule

if TYPE_CHECKING:
    from transformers import UMT5EncoderModel

TOKEN_COUNT = 512
_EXAMPLE_TOKEN_COUNT = 17


class _Opening(nn.Module):
    """``forward(input_ids, attention_mask) -> hidden, absent``: [1, 512] int64 twice to [1, 512, width] float32.

    ``absent`` [1, 1, 1, 512] is added to scores: zero for tokens, the lowest float32 for padding.
    """

    def __init__(self, encoder: Any) -> None:
        super().__init__()
        self.embed_tokens = encoder.embed_tokens

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> tuple[Tensor, Tensor]:
        """See the class."""
        absent = (1 - attention_mask).float()[:, None, None, :] * torch.finfo(torch.float32).min
        return self.embed_tokens(input_ids).float(), absent


class _Block(nn.Module):
    """``forward(hidden, absent, buckets) -> hidden``, [1, 512, width]."""

    def __init__(self, block: Any) -> None:
        super().__init__()
        self.block = block

    def forward(self, hidden: Tensor, absent: Tensor, buckets: Tensor) -> Tensor:
        """See the class."""
        layer = self.block.layer[0]
        attention = layer.SelfAttention
        normed = layer.layer_norm(hidden)
        query, key, value = (
            projection(normed).unflatten(2, (attention.n_heads, -1)).transpose(1, 2)  # [1, heads, 512, head size]
            for projection in (attention.q, attention.k, attention.v)
        )
        bias = attention.relative_attention_bias(buckets.long()).permute(2, 0, 1)  # [heads, 512, 512]
        # umT5 does not divide by the root of the head size
        scores = (query @ key.transpose(2, 3) + bias).float() + absent
        mixed = scores.softmax(dim=-1).to(value.dtype) @ value
        hidden = hidden + attention.o(mixed.transpose(1, 2).flatten(2)).float()
        feed = self.block.layer[1]
        return hidden + feed.DenseReluDense(feed.layer_norm(hidden)).float()


class _Closing(nn.Module):
    """``forward(hidden, attention_mask) -> prompt_embeds``."""

    def __init__(self, encoder: Any) -> None:
        super().__init__()
        self.final_layer_norm = encoder.final_layer_norm

    def forward(self, hidden: Tensor, attention_mask: Tensor) -> Tensor:
        """See the class."""
        return self.final_layer_norm(hidden).float() * attention_mask.unsqueeze(-1).float()


def text_encoder_module_graph(model: UMT5EncoderModel) -> ModuleGraph:
    """``forward(input_ids, attention_mask) -> prompt_embeds``: [1, 512] int64 twice to [1, 512, text size].

    Rows of padding are zeros: the transformer attends to all 512 rows, and was trained with zeros there.
    """
    encoder: Any = model.encoder
    segments = [Segment(_Opening(encoder), ("input_ids", "attention_mask"), ("hidden_0", "absent"), "opening")]
    segments += [
        Segment(_Block(block), (f"hidden_{index}", "absent", "buckets"), (f"hidden_{index + 1}",), "block")
        for index, block in enumerate(encoder.block)
    ]
    last = f"hidden_{len(encoder.block)}"
    segments.append(Segment(_Closing(encoder), (last, "attention_mask"), ("prompt_embeds",), "closing"))
    attention = encoder.block[0].layer[0].SelfAttention
    positions = torch.arange(TOKEN_COUNT)
    buckets = attention._relative_position_bucket(positions[None, :] - positions[:, None])  # noqa: SLF001
    # [512, 512], rows are attending positions. uint8, because this constant is most of the graph file.
    constants = {"buckets": buckets.to(torch.uint8)}
    return ModuleGraph(segments, ("input_ids", "attention_mask"), ("prompt_embeds",), constants)


def text_encoder_graph(model: UMT5EncoderModel) -> TracedModule:
    """The text encoder with example inputs: 17 tokens, the rest padding."""
    example = Example.of(model)
    input_ids = torch.zeros(1, TOKEN_COUNT, dtype=torch.int64)
    drawn = torch.Generator().manual_seed(0)
    input_ids[:, :_EXAMPLE_TOKEN_COUNT] = torch.randint(
        1, model.config.vocab_size, (1, _EXAMPLE_TOKEN_COUNT), generator=drawn
    )
    attention_mask = (torch.arange(TOKEN_COUNT) < _EXAMPLE_TOKEN_COUNT).long().unsqueeze(0)

    def library(input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        encoded: Any = model(input_ids=input_ids, attention_mask=attention_mask)
        return encoded.last_hidden_state * attention_mask.unsqueeze(-1)

    return TracedModule(
        text_encoder_module_graph(model),
        {"input_ids": example.move(input_ids), "attention_mask": example.move(attention_mask)},
        ("prompt_embeds",),
        library=library,
    )
