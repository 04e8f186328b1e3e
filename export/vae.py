"""The causal VAE as recurrent graphs. Knows the library's list of convolution caches; knows no file.

The library runs encoder and decoder chunk by chunk over a list of caches: the last two frames that each causal
convolution saw. Here each direction becomes two graphs. ``init`` takes the first chunk (one picture, one latent
frame); ``step`` takes the next one (four pictures, one latent frame) with the caches, and gives the next caches. So
memory does not grow with the length of the clip, and frames leave while later ones are decoded.

The library's list holds three kinds of entries after the first chunk: two frames, one frame, and (where the first
chunk skips the temporal upsampling) a marker. The convolutions pad with zeros on the left, so one frame is the same
as a zero frame and that frame, and the marker is the same as two zero frames. ``init`` gives no output for markers:
**a cache that init does not give starts as zeros.**
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

from export.graph import TracedModule

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
    generator = torch.Generator().manual_seed(0)
    first, following = (
        torch.rand(1, 3, count, height_px, width_px, generator=generator) * 2 - 1 for count in (1, FRAMES_PER_STEP)
    )
    return _graphs(_Encoder(vae), ("frames", "latent"), first, following)


def picture_encoder_graph(vae: AutoencoderKLWan, height_px: int, width_px: int) -> TracedModule:
    """The encoder's first chunk alone, without caches: for models that are conditioned on one picture."""
    graphs = encoder_graphs(vae, height_px, width_px)
    direction = graphs.init.module.direction
    assert isinstance(direction, _Direction)
    return TracedModule(_Init(direction, [], direction.slot_count, []), graphs.init.inputs, ("latent",))


def decoder_graphs(vae: AutoencoderKLWan, height_px: int, width_px: int) -> RecurrentGraphs:
    """``latent`` [1, z, 1, h, w], normalised, to ``frames`` [1, 3, 1 or 4, height, width] in -1..1."""
    stride = vae.config.scale_factor_spatial
    generator = torch.Generator().manual_seed(0)
    first, following = (
        torch.randn(1, vae.config.z_dim, 1, height_px // stride, width_px // stride, generator=generator)
        for _ in range(2)
    )
    return _graphs(_Decoder(vae), ("latent", "frames"), first, following)


class _Direction(nn.Module, abc.ABC):
    """Encoder or decoder: one chunk over a list of caches, which it changes in place."""

    def __init__(self, vae: AutoencoderKLWan) -> None:
        super().__init__()
        _simplify(vae)
        self.vae: Any = vae
        self.mean = nn.Buffer(torch.tensor(vae.config.latents_mean).view(1, -1, 1, 1, 1))
        self.std = nn.Buffer(torch.tensor(vae.config.latents_std).view(1, -1, 1, 1, 1))

    @property
    def slot_count(self) -> int:
        """Length that the library's list of caches needs at most."""
        return sum(isinstance(module, WanCausalConv3d) for module in self.vae.modules())

    @abc.abstractmethod
    def chunk(self, chunk: Tensor, caches: list[_Entry], is_first: bool) -> Tensor:
        """One chunk; ``caches`` is changed in place."""


def _simplify(vae: nn.Module) -> None:
    """Gives layers a form that traces to less, with the same results."""
    for module in vae.modules():
        if isinstance(module, nn.Upsample) and module.mode == "nearest-exact":
            # The same at a factor of two, and one Resize instead of an index table of the picture's size.
            module.mode = "nearest"
        elif isinstance(module, WanRMS_norm):
            # The library's form writes the norm out to the size of the input before it divides.
            module.forward = functools.partial(_normalise, module)


def _normalise(norm: Any, features: Tensor) -> Tensor:
    length = torch.linalg.vector_norm(features, dim=1 if norm.channel_first else -1, keepdim=True)
    return features / length.clamp_min(1e-12) * (norm.gamma * norm.scale) + norm.bias


class _Encoder(_Direction):
    def chunk(self, chunk: Tensor, caches: list[_Entry], is_first: bool) -> Tensor:  # noqa: ARG002
        if self.vae.config.patch_size is not None:
            chunk = patchify(chunk, self.vae.config.patch_size)
        encoded = self.vae.quant_conv(self.vae.encoder(chunk, feat_cache=caches, feat_idx=[0]))
        # The mode of the posterior is its mean, the first half of the channels.
        return (encoded[:, : self.vae.config.z_dim] - self.mean) / self.std


class _Decoder(_Direction):
    def chunk(self, chunk: Tensor, caches: list[_Entry], is_first: bool) -> Tensor:
        latent = self.vae.post_quant_conv(chunk * self.std + self.mean)
        frames = self.vae.decoder(latent, feat_cache=caches, feat_idx=[0], first_chunk=is_first)
        if self.vae.config.patch_size is not None:
            frames = unpatchify(frames, self.vae.config.patch_size)
        return frames.clamp(-1.0, 1.0)


class _Init(nn.Module):
    """The first chunk: gives the result and those caches that are not zero."""

    def __init__(
        self, direction: _Direction, slots: Sequence[int], slot_count: int, frame_counts: Sequence[int]
    ) -> None:
        super().__init__()
        self.direction = direction
        self._slots, self._slot_count, self._frame_counts = slots, slot_count, frame_counts

    def forward(self, chunk: Tensor) -> tuple[Tensor, ...]:
        caches: list[_Entry] = [None] * self._slot_count
        result = self.direction.chunk(chunk, caches, is_first=True)
        return (
            result,
            *(self._padded(caches[slot], count) for slot, count in zip(self._slots, self._frame_counts, strict=True)),
        )

    def _padded(self, cache: _Entry, frame_count: int) -> Tensor:
        assert isinstance(cache, Tensor)
        return functional.pad(cache, (0, 0, 0, 0, frame_count - cache.shape[2], 0))


class _Step(nn.Module):
    """Every further chunk."""

    def __init__(self, direction: _Direction, slots: Sequence[int], slot_count: int) -> None:
        super().__init__()
        self.direction = direction
        self._slots, self._slot_count = slots, slot_count

    def forward(self, chunk: Tensor, *inputs: Tensor) -> tuple[Tensor, ...]:
        caches: list[_Entry] = [None] * self._slot_count
        for slot, cache in zip(self._slots, inputs, strict=True):
            caches[slot] = cache
        result = self.direction.chunk(chunk, caches, is_first=False)
        return (result, *(item for slot in self._slots if isinstance(item := caches[slot], Tensor)))


def _graphs(direction: _Direction, names: tuple[str, str], first: Tensor, following: Tensor) -> RecurrentGraphs:
    """Runs two chunks to learn which slots are used and which shapes they settle to, then wraps both."""
    source, target = names
    slot_count = direction.slot_count
    caches: list[_Entry] = [None] * slot_count
    with torch.no_grad():
        direction.chunk(first, caches, is_first=True)
        after_init = list(caches)
        direction.chunk(following, caches, is_first=False)
    settled = {slot: cache for slot, cache in enumerate(caches) if isinstance(cache, Tensor)}
    given = [slot for slot in settled if isinstance(after_init[slot], Tensor)]
    frame_counts = [settled[slot].shape[2] for slot in given]
    example = {f"cache_{slot:02}": cache for slot, cache in settled.items()}
    return RecurrentGraphs(
        init=TracedModule(
            _Init(direction, given, slot_count, frame_counts),
            {source: first},
            (target, *(f"next_cache_{slot:02}" for slot in given)),
        ),
        step=TracedModule(
            _Step(direction, list(settled), slot_count),
            {source: following, **example},
            (target, *(f"next_{name}" for name in example)),
        ),
    )
