"""The causal VAE as recurrent graphs, over the layers and convolution caches of Diffusers' ``AutoencoderKLWan``.

The library runs encoder and decoder chunk by chunk over a list of caches: the last two frames that each causal
convolution saw. Here each direction becomes two graphs. ``init`` takes the first chunk (one picture, one latent
frame); ``step`` takes the next one (four pictures, one latent frame) with the caches, and returns the next caches. So
memory does not grow with the length of the clip, and frames can be sent while later ones are decoded.

The library's list holds three kinds of entries after the first chunk: two frames, one frame, and (where the first
chunk skips the temporal upsampling) a marker. The convolutions pad with zeros on the left, so one frame is the same
as a zero frame and that frame, and the marker is the same as two zero frames. ``init`` has no output for markers:
**a cache that init does not return starts as zeros.**
"""

from __future__ import annotations

import abc
import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from diffusers.models.autoencoders.autoencoder_kl_wan import WanCausalConv3d, WanRMS_norm, patchify, unpatchify
from torch import Tensor, nn
from torch.nn import functional

from export.tracing.example import Example
from export.tracing.module_graph import ModuleGraph, Segment, TracedModule

if TYPE_CHECKING:
    from diffusers import AutoencoderKLWan

FRAMES_PER_STEP = 4
_Entry = Tensor | str | None


@dataclass(frozen=True)
class RecurrentGraphs:
    """The two graphs of one direction. Output ``next_cache_07`` of one call is input ``cache_07`` of the next."""

    init: TracedModule
    step: TracedModule


def encoder_graphs(vae: AutoencoderKLWan, height_px: int, width_px: int) -> RecurrentGraphs:
    """``frames`` [1, 3, 1 or 4, height, width] in -1..1 to ``latent`` [1, z, 1, h, w], normalised."""
    example = Example.of(vae)
    first, following = (example.uniform(1, 3, count, height_px, width_px) for count in (1, FRAMES_PER_STEP))
    return _graphs(_Encoder(vae), ("frames", "latent"), first, following)


def picture_encoder_graph(vae: AutoencoderKLWan, height_px: int, width_px: int) -> TracedModule:
    """The encoder's first chunk alone, without caches, for models that are conditioned on one picture."""
    picture = Example.of(vae).uniform(1, 3, 1, height_px, width_px)
    direction = _Encoder(vae)
    return _traced(direction, _Init(direction, [], direction.slot_count, []), {"frames": picture}, ("latent",))


def decoder_graphs(vae: AutoencoderKLWan, height_px: int, width_px: int) -> RecurrentGraphs:
    """``latent`` [1, z, 1, h, w], normalised, to ``frames`` [1, 3, 1 or 4, height, width] in -1..1."""
    stride = vae.config.scale_factor_spatial
    example = Example.of(vae)
    first, following = (
        example.normal(1, vae.config.z_dim, 1, height_px // stride, width_px // stride) for _ in range(2)
    )
    return _graphs(_Decoder(vae), ("latent", "frames"), first, following)


class _Direction(nn.Module, abc.ABC):
    """Encoder or decoder: processes one chunk with a list of caches, which it changes in place.

    Pictures and latents are float32; between them, and in the caches, the precision is that of the weights.
    """

    def __init__(self, vae: AutoencoderKLWan) -> None:
        super().__init__()
        _simplify(vae)
        self.vae: Any = vae
        self.dtype = next(vae.parameters()).dtype

    @property
    def statistics(self) -> dict[str, Tensor]:
        """Mean and standard deviation of each latent channel, [1, z, 1, 1, 1]."""
        config = self.vae.config
        values = {"mean": config.latents_mean, "std": config.latents_std}
        return {name: torch.tensor(value).view(1, -1, 1, 1, 1) for name, value in values.items()}

    @property
    def slot_count(self) -> int:
        """Upper bound of the length of the library's cache list."""
        return sum(isinstance(module, WanCausalConv3d) for module in self.vae.modules())

    @abc.abstractmethod
    def chunk(self, chunk: Tensor, mean: Tensor, std: Tensor, caches: list[_Entry], is_first: bool) -> Tensor:
        """Encodes or decodes one chunk; changes ``caches`` in place."""


def _simplify(vae: nn.Module) -> None:
    """Changes layers of the VAE in place to forms with the same results and smaller traces."""
    for module in vae.modules():
        if isinstance(module, nn.Upsample) and module.mode == "nearest-exact":
            # Equal at a factor of two, and one Resize node instead of an index table of the picture's size.
            module.mode = "nearest"
        elif isinstance(module, WanRMS_norm):
            # The library expands the norm to the size of the input before it divides.
            module.forward = functools.partial(_normalise, module)


def _normalise(norm: Any, features: Tensor) -> Tensor:
    # In float32, because squares of half precision overflow.
    wide = features.float()
    length = torch.linalg.vector_norm(wide, dim=1 if norm.channel_first else -1, keepdim=True)
    return (wide / length.clamp_min(1e-12)).to(features.dtype) * (norm.gamma * norm.scale) + norm.bias


class _Encoder(_Direction):
    def chunk(self, chunk: Tensor, mean: Tensor, std: Tensor, caches: list[_Entry], is_first: bool) -> Tensor:  # noqa: ARG002
        if self.vae.config.patch_size is not None:
            chunk = patchify(chunk, self.vae.config.patch_size)
        encoded = self.vae.quant_conv(self.vae.encoder(chunk.to(self.dtype), feat_cache=caches, feat_idx=[0]))
        # The mode of the posterior is its mean, the first half of the channels.
        return (encoded[:, : self.vae.config.z_dim].float() - mean) / std


class _Decoder(_Direction):
    def chunk(self, chunk: Tensor, mean: Tensor, std: Tensor, caches: list[_Entry], is_first: bool) -> Tensor:
        latent = self.vae.post_quant_conv((chunk * std + mean).to(self.dtype))
        frames = self.vae.decoder(latent, feat_cache=caches, feat_idx=[0], first_chunk=is_first)
        if self.vae.config.patch_size is not None:
            frames = unpatchify(frames, self.vae.config.patch_size)
        return frames.float().clamp(-1.0, 1.0)


class _Init(nn.Module):
    """Processes the first chunk; returns the result and the caches that are not zero."""

    def __init__(
        self, direction: _Direction, slots: Sequence[int], slot_count: int, frame_counts: Sequence[int]
    ) -> None:
        super().__init__()
        self.direction = direction
        self._slots, self._slot_count, self._frame_counts = slots, slot_count, frame_counts

    def forward(self, mean: Tensor, std: Tensor, chunk: Tensor) -> tuple[Tensor, ...]:
        caches: list[_Entry] = [None] * self._slot_count
        result = self.direction.chunk(chunk, mean, std, caches, is_first=True)
        return (
            result,
            *(self._padded(caches[slot], count) for slot, count in zip(self._slots, self._frame_counts, strict=True)),
        )

    def _padded(self, cache: _Entry, frame_count: int) -> Tensor:
        assert isinstance(cache, Tensor)
        return functional.pad(cache, (0, 0, 0, 0, frame_count - cache.shape[2], 0))


class _Step(nn.Module):
    """Processes every further chunk; returns the result and the next caches."""

    def __init__(self, direction: _Direction, slots: Sequence[int], slot_count: int) -> None:
        super().__init__()
        self.direction = direction
        self._slots, self._slot_count = slots, slot_count

    def forward(self, mean: Tensor, std: Tensor, chunk: Tensor, *inputs: Tensor) -> tuple[Tensor, ...]:
        caches: list[_Entry] = [None] * self._slot_count
        for slot, cache in zip(self._slots, inputs, strict=True):
            caches[slot] = cache
        result = self.direction.chunk(chunk, mean, std, caches, is_first=False)
        return (result, *(item for slot in self._slots if isinstance(item := caches[slot], Tensor)))


def _graphs(direction: _Direction, names: tuple[str, str], first: Tensor, following: Tensor) -> RecurrentGraphs:
    """Runs two chunks to find the used cache slots and their final shapes, then wraps both directions."""
    source, target = names
    slot_count = direction.slot_count
    caches: list[_Entry] = [None] * slot_count
    mean, std = (tensor.to(first.device) for tensor in direction.statistics.values())
    with torch.no_grad():
        direction.chunk(first, mean, std, caches, is_first=True)
        after_init = list(caches)
        direction.chunk(following, mean, std, caches, is_first=False)
    settled = {slot: cache for slot, cache in enumerate(caches) if isinstance(cache, Tensor)}
    given = [slot for slot in settled if isinstance(after_init[slot], Tensor)]
    frame_counts = [settled[slot].shape[2] for slot in given]
    example = {f"cache_{slot:02}": cache for slot, cache in settled.items()}
    return RecurrentGraphs(
        init=_traced(
            direction,
            _Init(direction, given, slot_count, frame_counts),
            {source: first},
            (target, *(f"next_cache_{slot:02}" for slot in given)),
        ),
        step=_traced(
            direction,
            _Step(direction, list(settled), slot_count),
            {source: following, **example},
            (target, *(f"next_{name}" for name in example)),
        ),
    )


def _traced(
    direction: _Direction, module: nn.Module, inputs: dict[str, Tensor], output_names: tuple[str, ...]
) -> TracedModule:
    statistics = direction.statistics
    segment = Segment(module, (*statistics, *inputs), output_names, "chunk")
    return TracedModule(ModuleGraph([segment], tuple(inputs), output_names, statistics), inputs, output_names)
