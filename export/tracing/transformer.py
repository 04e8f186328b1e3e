"""The diffusion transformer as one graph: a module graph of an opening, the blocks and a closing.

Rotary tables are constants of the compiled size.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn import functional

from engine.generate.prompt_encoder import join_prompts
from export.tracing.example import Example
from export.tracing.module_graph import ModuleGraph, Segment, TracedModule
from export.tracing.text_encoder import TOKEN_COUNT
from export.tracing.transformer_segments import Block, Closing, Opening

if TYPE_CHECKING:
    from diffusers import WanTransformer3DModel


def transformer_module_graph(
    model: WanTransformer3DModel, latent_shape: tuple[int, int, int], expand_timesteps: bool
) -> ModuleGraph:
    """``forward(latents, condition, timestep, prompt_embeds, prompt_bias) -> prediction``.

    * ``latents`` [1, z, T, h, w], ``timestep`` [1] float32;
    * ``prompt_embeds`` [B, rows, text size] and ``prompt_bias`` [B, rows], which is added to the scores of each row
      in cross-attention: see ``engine.generate.prompt_encoder.join_prompts`` on why 512 rows are not needed;
    * ``condition`` is [1, 4 + z, T, h, w] (mask and picture latents) where the picture comes as channels, and
      [1, z, 1, h, w] where it is the first latent frame (``expand_timesteps``);
    * ``prediction`` [B, z, T, h, w], row 0 for the first embedding.

    ``latent_shape`` is (T, h, w).
    """
    frames, height, width = (side // patch for side, patch in zip(latent_shape, model.config.patch_size, strict=True))
    opening = Opening(model, frames, expand_timesteps)
    given = ("latents", "condition", "timestep", "prompt_embeds")
    segments = [Segment(opening, given, ("hidden_0", "time", "modulation", "text"), "opening")]
    shared = ("modulation", "text", "prompt_bias", "cosines", "sines")
    for index, block in enumerate(model.blocks):
        pattern = "first_block" if index == 0 else "block"
        segments.append(Segment(Block(block), (f"hidden_{index}", *shared), (f"hidden_{index + 1}",), pattern))
    last = f"hidden_{len(model.blocks)}"
    segments.append(Segment(Closing(model, (frames, height, width)), (last, "time"), ("prediction",), "closing"))
    batch, rows = _axes()
    dynamic_axes = {f"hidden_{index}": (batch,) for index in range(1, len(model.blocks) + 1)}
    cosines, sines = _rotary_tables(model.config, latent_shape)
    return ModuleGraph(
        segments,
        (*given, "prompt_bias"),
        ("prediction",),
        constants={"cosines": cosines, "sines": sines},
        dynamic_axes={**dynamic_axes, "text": (batch, rows)},
    )


def _axes() -> tuple[torch.export.Dim, torch.export.Dim]:
    """Open axes: rows of the batch (one or both halves of guidance) and rows of text."""
    return torch.export.Dim("batch", min=1, max=2), torch.export.Dim("rows", min=2, max=TOKEN_COUNT)


def _rotary_tables(config: Any, latent_shape: tuple[int, int, int]) -> tuple[Tensor, Tensor]:
    """Rotary cosines and sines of the compiled size, [1, tokens, 1, head size / 2] each."""
    from diffusers.models.transformers.transformer_wan import WanRotaryPosEmbed

    rope = WanRotaryPosEmbed(config.attention_head_dim, config.patch_size, config.rope_max_seq_len)
    cosines, sines = rope(torch.zeros(1, 1, *latent_shape))
    # The library repeats each value for the pair of features that it turns.
    return cosines[..., 0::2].float().contiguous(), sines[..., 1::2].float().contiguous()


def transformer_graph(
    model: WanTransformer3DModel, latent_shape: tuple[int, int, int], expand_timesteps: bool
) -> TracedModule:
    """The transformer with example inputs: both halves of guidance, 17 and 9 tokens. ``latent_shape`` is (T, h, w)."""
    example = Example.of(model)
    channel_count = model.config.out_channels
    frames = 1 if expand_timesteps else latent_shape[0]
    tokens = [Example().normal(1, count, model.config.text_dim).numpy() for count in (17, 9)]
    prompt_embeds, prompt_bias = (torch.from_numpy(array) for array in join_prompts(tokens, TOKEN_COUNT))
    inputs = {
        "latents": example.normal(1, channel_count, *latent_shape),
        "condition": example.normal(
            1, channel_count if expand_timesteps else channel_count + 4, frames, *latent_shape[1:]
        ),
        "timestep": example.move(torch.tensor([937.0])),
        "prompt_embeds": example.move(prompt_embeds),
        "prompt_bias": example.move(prompt_bias),
    }

    def library(
        latents: Tensor, condition: Tensor, timestep: Tensor, prompt_embeds: Tensor, prompt_bias: Tensor
    ) -> Tensor:
        del prompt_bias  # the library attends to all rows alike
        missing_row_count = TOKEN_COUNT - prompt_embeds.shape[1]
        if expand_timesteps:
            hidden = torch.cat([condition, latents[:, :, 1:]], dim=2)
            patch = model.config.patch_size
            tokens_per_frame = latent_shape[1] // patch[1] * (latent_shape[2] // patch[2])
            timestep = timestep.repeat(latent_shape[0] * tokens_per_frame)[None].expand(2, -1).clone()
            timestep[:, :tokens_per_frame] = 0
        else:
            hidden = torch.cat([latents, condition], dim=1)
            timestep = timestep.expand(2)
        prediction: Tensor = model(
            hidden_states=hidden.expand(2, -1, -1, -1, -1),
            timestep=timestep,
            encoder_hidden_states=functional.pad(prompt_embeds, (0, 0, 0, missing_row_count)),
            return_dict=False,
        )[0]
        return prediction

    return TracedModule(
        transformer_module_graph(model, latent_shape, expand_timesteps),
        inputs,
        ("prediction",),
        dynamic_axes={"prompt_embeds": _axes(), "prompt_bias": _axes()},
        library=library,
    )
