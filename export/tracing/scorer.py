"""A SigLIP scorer as two graphs, over the layers of Transformers' ``SiglipModel``.

The pooling head is attention of one query over all patches. On one patch alone, attention is the identity on that
patch's value, so ``y = W_o (W_v h + b_v) + b_o`` and ``e = y + MLP(LN(y))`` embed each patch in the joint space of
pictures and sentences. The engine locates words in the picture by these patch embeddings.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from engine.bundle.scorer_spec import MAX_PICTURE_COUNT, MAX_SENTENCE_COUNT
from export.tracing.module_graph import TracedModule

if TYPE_CHECKING:
    from transformers import SiglipModel


class ScorerImageGraph(nn.Module):
    """``forward(pixel_values) -> image_embeds, patch_embeds``.

    [B, 3, side, side] to [B, D] and [B, patches, D], all of unit length.
    """

    def __init__(self, model: SiglipModel) -> None:
        super().__init__()
        self.model: Any = model.vision_model

    def forward(self, pixel_values: Tensor) -> tuple[Tensor, Tensor]:
        """See the class."""
        outputs = self.model(pixel_values=pixel_values)
        head = self.model.head
        value_weight, value_bias = head.attention.in_proj_weight.chunk(3)[2], head.attention.in_proj_bias.chunk(3)[2]
        values = functional.linear(outputs.last_hidden_state, value_weight, value_bias)
        attended = head.attention.out_proj(values)
        patches = attended + head.mlp(head.layernorm(attended))
        return functional.normalize(outputs.pooler_output, dim=-1), functional.normalize(patches, dim=-1)


class ScorerTextGraph(nn.Module):
    """``forward(input_ids) -> text_embeds``: [B, tokens] int64 to [B, D], unit length."""

    def __init__(self, model: SiglipModel) -> None:
        super().__init__()
        self.model: Any = model.text_model

    def forward(self, input_ids: Tensor) -> Tensor:
        """See the class."""
        return functional.normalize(self.model(input_ids=input_ids).pooler_output, dim=-1)


def scorer_graphs(model: SiglipModel) -> tuple[TracedModule, TracedModule]:
    """The image graph and the text graph, for batches up to the engine's largest."""
    vision, text = model.config.vision_config, model.config.text_config
    generator = torch.Generator().manual_seed(0)
    pixels = torch.rand(2, 3, vision.image_size, vision.image_size, generator=generator) * 2 - 1
    input_ids = torch.randint(0, text.vocab_size, (2, text.max_position_embeddings), generator=generator)
    pictures = torch.export.Dim("pictures", min=1, max=MAX_PICTURE_COUNT)
    sentences = torch.export.Dim("sentences", min=1, max=MAX_SENTENCE_COUNT)
    return (
        TracedModule(
            ScorerImageGraph(model),
            {"pixel_values": pixels},
            ("image_embeds", "patch_embeds"),
            dynamic_axes={"pixel_values": (pictures,)},
        ),
        TracedModule(
            ScorerTextGraph(model), {"input_ids": input_ids}, ("text_embeds",), dynamic_axes={"input_ids": (sentences,)}
        ),
    )
