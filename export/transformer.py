"""The diffusion transformer as one graph. Knows the layers of ``WanTransformer3DModel``; knows no file.

The forward is written again here, over the checkpoint's own layers, where the library's form costs an engine dearly:

* rotary tables are constants of the compiled size, and rotation is stack and flatten instead of strided writes
  (which become ScatterND and keep one activation a layer alive);
* the timestep stays one row; for models whose first latent frame is the picture it is one row a latent frame,
  never one a token;
* both halves of guidance go through in one call. What they share, up to the first cross-attention, is computed
  once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from engine.prompts import join_prompts
from export.graph import TracedModule
from export.text_encoder import TOKEN_COUNT

if TYPE_CHECKING:
    from diffusers import WanTransformer3DModel

Tables = tuple[Tensor, Tensor]  # cosines and sines, [1, tokens, 1, head size / 2] each


class TransformerGraph(nn.Module):
    """``forward(latents, condition, timestep, prompt_embeds, prompt_bias) -> prediction``.

    * ``latents`` [1, z, T, h, w], ``timestep`` [1] float32;
    * ``prompt_embeds`` [B, rows, text size] and ``prompt_bias`` [B, rows], which is added to the scores of each row
      in cross-attention: ``engine.prompts.join_prompts`` tells why 512 rows are not needed;
    * ``condition`` is [1, 4 + z, T, h, w] (mask and picture latents) where the picture comes as channels, and
      [1, z, 1, h, w] where it is the first latent frame (``expand_timesteps``);
    * ``prediction`` [B, z, T, h, w], row 0 for the first embedding.
    """

    def __init__(
        self, model: WanTransformer3DModel, latent_shape: tuple[int, int, int], expand_timesteps: bool
    ) -> None:
        super().__init__()
        self.model = model
        self._expand_timesteps = expand_timesteps
        patch_t, patch_h, patch_w = model.config.patch_size
        frames, height, width = latent_shape
        self._grid = (frames // patch_t, height // patch_h, width // patch_w)
        with torch.no_grad():
            cosines, sines = model.rope(torch.zeros(1, 1, frames, height, width))
        # The library repeats each value for the pair of features that it turns.
        self.cosines = nn.Buffer(cosines[..., 0::2].float().contiguous())
        self.sines = nn.Buffer(sines[..., 1::2].float().contiguous())

    def forward(
        self, latents: Tensor, condition: Tensor, timestep: Tensor, prompt_embeds: Tensor, prompt_bias: Tensor
    ) -> Tensor:
        """See the class."""
        model: Any = self.model
        if self._expand_timesteps:
            hidden = torch.cat([condition, latents[:, :, 1:]], dim=2)
        else:
            hidden = torch.cat([latents, condition], dim=1)
        hidden = model.patch_embedding(hidden).flatten(2).transpose(1, 2)  # [1, tokens, width]
        time, modulation, text = self._embed_conditions(timestep, prompt_embeds)
        for block in model.blocks:
            hidden = self._block(block, hidden, text, prompt_bias, modulation)
        shift, scale = (model.scale_shift_table.unsqueeze(0) + time.unsqueeze(2)).unbind(2)
        hidden = self._modulate(model.norm_out(hidden), shift, scale)
        return self._unpatchify(model.proj_out(hidden))

    def _embed_conditions(self, timestep: Tensor, prompt_embeds: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Time [1, F, width], modulation [1, F, 6, width] and text [B, rows, width]; F is 1 or the latent frames."""
        embedder: Any = self.model.condition_embedder
        if self._expand_timesteps:  # the first latent frame is the clean picture: its time is 0
            timestep = torch.cat([torch.zeros_like(timestep), timestep])
        time = embedder.time_embedder(embedder.timesteps_proj(timestep))
        modulation = embedder.time_proj(embedder.act_fn(time)).unflatten(1, (6, -1))
        if self._expand_timesteps:
            frame_count = self._grid[0]
            time = torch.cat([time[:1], time[1:].expand(frame_count - 1, -1)])
            modulation = torch.cat([modulation[:1], modulation[1:].expand(frame_count - 1, -1, -1)])
        return time.unsqueeze(0), modulation.unsqueeze(0), embedder.text_embedder(prompt_embeds)

    def _block(self, block: Any, hidden: Tensor, text: Tensor, text_bias: Tensor, modulation: Tensor) -> Tensor:
        shift, scale, gate, ffn_shift, ffn_scale, ffn_gate = (block.scale_shift_table + modulation).unbind(2)
        attended = self._self_attention(block.attn1, self._modulate(block.norm1(hidden), shift, scale))
        hidden = hidden + self._scale(attended, gate)
        if hidden.shape[0] != text.shape[0]:
            hidden = hidden.expand(text.shape[0], -1, -1)
        hidden = hidden + self._cross_attention(block.attn2, block.norm2(hidden), text, text_bias)
        fed = block.ffn(self._modulate(block.norm3(hidden), ffn_shift, ffn_scale))
        return hidden + self._scale(fed, ffn_gate)

    def _modulate(self, hidden: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
        """``hidden * (1 + scale) + shift`` with shift and scale [1, F, width]."""
        framed = hidden.unflatten(1, (shift.shape[1], -1))  # [B, F, tokens / F, width]
        return (framed * (1 + scale.unsqueeze(2)) + shift.unsqueeze(2)).flatten(1, 2)

    def _scale(self, hidden: Tensor, gate: Tensor) -> Tensor:
        return (hidden.unflatten(1, (gate.shape[1], -1)) * gate.unsqueeze(2)).flatten(1, 2)

    def _self_attention(self, attention: Any, hidden: Tensor) -> Tensor:
        query = self._rotate(attention.norm_q(attention.to_q(hidden)).unflatten(2, (attention.heads, -1)))
        key = self._rotate(attention.norm_k(attention.to_k(hidden)).unflatten(2, (attention.heads, -1)))
        value = attention.to_v(hidden).unflatten(2, (attention.heads, -1))
        return _attend(attention, query, key, value)

    def _cross_attention(self, attention: Any, hidden: Tensor, text: Tensor, text_bias: Tensor) -> Tensor:
        query = attention.norm_q(attention.to_q(hidden)).unflatten(2, (attention.heads, -1))
        key = attention.norm_k(attention.to_k(text)).unflatten(2, (attention.heads, -1))
        value = attention.to_v(text).unflatten(2, (attention.heads, -1))
        return _attend(attention, query, key, value, text_bias[:, None, None, :])

    def _rotate(self, features: Tensor) -> Tensor:
        """Turns neighbouring pairs of features, [B, tokens, heads, head size]."""
        first, second = features.unflatten(-1, (-1, 2)).unbind(-1)
        turned = (first * self.cosines - second * self.sines, first * self.sines + second * self.cosines)
        return torch.stack(turned, dim=-1).flatten(-2)

    def _unpatchify(self, tokens: Tensor) -> Tensor:
        """[B, tokens, patch · z] to [B, z, T, h, w]."""
        patch = self.model.config.patch_size
        cells = tokens.unflatten(2, (*patch, -1)).unflatten(1, self._grid)  # [B, T, H, W, pt, ph, pw, z]
        return cells.permute(0, 7, 1, 4, 2, 5, 3, 6).flatten(6, 7).flatten(4, 5).flatten(2, 3)


def _attend(attention: Any, query: Tensor, key: Tensor, value: Tensor, bias: Tensor | None = None) -> Tensor:
    """Attention over [B, tokens, heads, head size], then the output projection."""
    query, key, value = (item.transpose(1, 2) for item in (query, key, value))
    mixed = functional.scaled_dot_product_attention(query, key, value, attn_mask=bias)
    return attention.to_out[0](mixed.transpose(1, 2).flatten(2))


def transformer_graph(
    model: WanTransformer3DModel, latent_shape: tuple[int, int, int], expand_timesteps: bool
) -> TracedModule:
    """The graph with an example of both halves of guidance, 17 and 9 tokens. ``latent_shape`` is (T, h, w)."""
    generator = torch.Generator().manual_seed(0)
    channel_count = model.config.out_channels
    frames = 1 if expand_timesteps else latent_shape[0]
    tokens = [torch.randn(1, count, model.config.text_dim, generator=generator).numpy() for count in (17, 9)]
    prompt_embeds, prompt_bias = (torch.from_numpy(array) for array in join_prompts(tokens, TOKEN_COUNT))
    inputs = {
        "latents": torch.randn(1, channel_count, *latent_shape, generator=generator),
        "condition": torch.randn(
            1, channel_count if expand_timesteps else channel_count + 4, frames, *latent_shape[1:], generator=generator
        ),
        "timestep": torch.tensor([937.0]),
        "prompt_embeds": prompt_embeds,
        "prompt_bias": prompt_bias,
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

    batch, rows = torch.export.Dim("batch", min=1, max=2), torch.export.Dim("rows", min=2, max=TOKEN_COUNT)
    return TracedModule(
        TransformerGraph(model, latent_shape, expand_timesteps),
        inputs,
        ("prediction",),
        dynamic_axes={"prompt_embeds": (batch, rows), "prompt_bias": (batch, rows)},
        library=library,
    )
