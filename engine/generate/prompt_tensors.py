"""Prompts on the device, as a transformer takes them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from engine.generate.prompt_encoder import join_prompts
from engine.runtime.base import Array, Runtime, Tensor


@dataclass(frozen=True, slots=True)
class PromptTensors:
    """``count`` prompts: embeddings [count, rows, text size], bias [count, rows]."""

    embeds: Tensor
    bias: Tensor
    count: int

    def row(self, index: int) -> PromptTensors:
        """One of the prompts, in the same memory."""
        return PromptTensors(self.embeds.row(index), self.bias.row(index), 1)


def upload_prompts(prompts: Sequence[Array], row_count: int, runtime: Runtime) -> tuple[PromptTensors, ...]:
    """Uploads prompts, [1, tokens, text size] each, in the shapes that the runtime prefers: one entry for each call.

    ``row_count``: see ``join_prompts``.
    """
    shapes = runtime.call_shapes
    calls = [prompts] if shapes.prediction_count >= len(prompts) else [[prompt] for prompt in prompts]
    joined = (join_prompts(call, row_count, shapes.prompt_row_counts) for call in calls)
    return tuple(PromptTensors(runtime.upload(embeds), runtime.upload(bias), len(embeds)) for embeds, bias in joined)
