"""The diffusion transformer as one graph. Knows the layers of ``WanTransformer3DModel``; knows no file.

The forward is written again here, over the checkpoint's own layers, where the library's form costs an engine dearly:

* rotary tables are constants of the compiled size, and rotation is stack and flatten instead of strided writes
  (which become ScatterND and keep one activation a layer alive);
* the timestep stays one row; for models whose first latent frame is the picture it is one row a latent frame,
  never one a token;
* both halves of guidance go through in one call. What they share, up to the first cross-attention, is computed
  once.

It is a chain of an opening, the blocks and a closing, so that one block is traced whatever their number. In half
precision the library computes norms, modulation and residuals in float32; so does this.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from engine.generate.prompt_encoder import join_prompts
from export.tracing.assemble import TracedModule
from export.tracing.module_graph import Chain, Link
from export.tracing.text_encoder import TOKEN_COUNT
from export.weights.components import Example

if TYPE_CHECKING:
    from diffusers import WanTransformer3DModel

Grid = tuple[int, int, int]  # tokens along time, height and width


class _Opening(nn.Module):
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


class _Block(nn.Module):
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


class _Closing(nn.Module):
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
        _rotate(norm(projection(hidden)).unflatten(2, (attention.heads, -1)), cosines, sines)
        for norm, projection in ((attention.norm_q, attention.to_q), (attention.norm_k, attention.to_k))
    )
    return _attend(attention, query, key, attention.to_v(hidden).unflatten(2, (attention.heads, -1)))


def _cross_attention(attention: Any, hidden: Tensor, text: Tensor, text_bias: Tensor) -> Tensor:
    query = attention.norm_q(attention.to_q(hidden)).unflatten(2, (attention.heads, -1))
    key = attention.norm_k(attention.to_k(text)).unflatten(2, (attention.heads, -1))
    value = attention.to_v(text).unflatten(2, (attention.heads, -1))
    return _attend(attention, query, key, value, text_bias[:, None, None, :].to(hidden.dtype))


def _rotate(features: Tensor, cosines: Tensor, sines: Tensor) -> Tensor:
    """Turns neighbouring pairs of features, [B, tokens, heads, head size], in float32."""
    first, second = features.float().unflatten(-1, (-1, 2)).unbind(-1)
    turned = (first * cosines - second * sines, first * sines + second * cosines)
    return torch.stack(turned, dim=-1).flatten(-2).to(features.dtype)


def _attend(attention: Any, query: Tensor, key: Tensor, value: Tensor, bias: Tensor | None = None) -> Tensor:
    """Attention over [B, tokens, heads, head size], then the output projection."""
    query, key, value = (item.transpose(1, 2) for item in (query, key, value))
    mixed = functional.scaled_dot_product_attention(query, key, value, attn_mask=bias)
    return attention.to_out[0](mixed.transpose(1, 2).flatten(2))


def transformer_chain(
    model: WanTransformer3DModel, latent_shape: tuple[int, int, int], expand_timesteps: bool
) -> Chain:
    """``forward(latents, condition, timestep, prompt_embeds, prompt_bias) -> prediction``.

    * ``latents`` [1, z, T, h, w], ``timestep`` [1] float32;
    * ``prompt_embeds`` [B, rows, text size] and ``prompt_bias`` [B, rows], which is added to the scores of each row
      in cross-attention: ``engine.generate.prompt_encoder.join_prompts`` tells why 512 rows are not needed;
    * ``condition`` is [1, 4 + z, T, h, w] (mask and picture latents) where the picture comes as channels, and
      [1, z, 1, h, w] where it is the first latent frame (``expand_timesteps``);
    * ``prediction`` [B, z, T, h, w], row 0 for the first embedding.

    ``latent_shape`` is (T, h, w).
    """
    frames, height, width = (side // patch for side, patch in zip(latent_shape, model.config.patch_size, strict=True))
    opening = _Opening(model, frames, expand_timesteps)
    given = ("latents", "condition", "timestep", "prompt_embeds")
    links = [Link(opening, given, ("hidden_0", "time", "modulation", "text"), "opening")]
    shared = ("modulation", "text", "prompt_bias", "cosines", "sines")
    for index, block in enumerate(model.blocks):
        pattern = "first_block" if index == 0 else "block"
        links.append(Link(_Block(block), (f"hidden_{index}", *shared), (f"hidden_{index + 1}",), pattern))
    last = f"hidden_{len(model.blocks)}"
    links.append(Link(_Closing(model, (frames, height, width)), (last, "time"), ("prediction",), "closing"))
    batch, rows = _axes()
    dynamic_axes = {f"hidden_{index}": (batch,) for index in range(1, len(model.blocks) + 1)}
    cosines, sines = _rotary_tables(model.config, latent_shape)
    return Chain(
        links,
        (*given, "prompt_bias"),
        ("prediction",),
        constants={"cosines": cosines, "sines": sines},
        dynamic_axes={**dynamic_axes, "text": (batch, rows)},
    )


def _axes() -> tuple[torch.export.Dim, torch.export.Dim]:
    """Rows of a batch (both halves of guidance, or one), and rows of text."""
    return torch.export.Dim("batch", min=1, max=2), torch.export.Dim("rows", min=2, max=TOKEN_COUNT)


def _rotary_tables(config: Any, latent_shape: tuple[int, int, int]) -> tuple[Tensor, Tensor]:
    """Cosines and sines of the compiled size, [1, tokens, 1, head size / 2] each."""
    from diffusers.models.transformers.transformer_wan import WanRotaryPosEmbed

    rope = WanRotaryPosEmbed(config.attention_head_dim, config.patch_size, config.rope_max_seq_len)
    cosines, sines = rope(torch.zeros(1, 1, *latent_shape))
    # The library repeats each value for the pair of features that it turns.
    return cosines[..., 0::2].float().contiguous(), sines[..., 1::2].float().contiguous()


def transformer_graph(
    model: WanTransformer3DModel, latent_shape: tuple[int, int, int], expand_timesteps: bool
) -> TracedModule:
    """The graph with an example of both halves of guidance, 17 and 9 tokens. ``latent_shape`` is (T, h, w)."""
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
        transformer_chain(model, latent_shape, expand_timesteps),
        inputs,
        ("prediction",),
        dynamic_axes={"prompt_embeds": _axes(), "prompt_bias": _axes()},
        library=library,
    )
