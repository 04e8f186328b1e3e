"""Other ways to begin a segment than the engine's own; they implement ``engine.generate.segment_join.SegmentJoin``."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.chains.made_chain import Frames
from engine.api.media import Pixels
from engine.generate.image_conditioning import to_model_range
from engine.generate.segment_join import FrameEncoder, Opening, SegmentJoin
from engine.runtime.base import Array

_MASK_CHANNEL_COUNT = 4
_FRAMES_PER_LATENT = 4


@dataclass(frozen=True)
class WeightedPutBack:
    """Like ``PutBack``; ``weights`` are the shares of the true latents, for each latent frame."""

    weights: tuple[float, ...]

    @property
    def given_frame_count(self) -> int:
        """See ``SegmentJoin``."""
        return _frame_count(len(self.weights))

    def begin(self, frames: Sequence[Pixels], noise: Array, encoder: FrameEncoder) -> Opening:
        """See ``SegmentJoin.begin``."""
        given = encoder.latents_of(frames)
        count = given.shape[2]
        given_noise = noise[:, :, :count]
        weights = np.array(self.weights, np.float32)[:, None, None]

        def put_back(latents: Array, sigma: float) -> Array:
            true = (1.0 - sigma) * given + sigma * given_noise
            latents[:, :, :count] = weights * true + (1.0 - weights) * latents[:, :, :count]
            return latents

        return Opening(encoder.conditioning_of(frames[0], noise.shape[2]), put_back)


@dataclass(frozen=True)
class Masked:
    """All given frames in the image conditioning, with mask 1, and grey after them; the solver is left alone."""

    latent_frame_count: int

    @property
    def given_frame_count(self) -> int:
        """See ``SegmentJoin``."""
        return _frame_count(self.latent_frame_count)

    def begin(self, frames: Sequence[Pixels], noise: Array, encoder: FrameEncoder) -> Opening:
        """See ``SegmentJoin.begin``."""
        given = np.concatenate([to_model_range(frame) for frame in frames], axis=2)  # [1, 3, frames, height, width]
        total = noise.shape[2]
        grey = np.zeros((1, 3, _frame_count(total) - len(frames), *given.shape[3:]), np.float32)
        pixels = np.concatenate([given, grey], axis=2)
        stream = encoder.stream()
        edges = [0, *range(1, pixels.shape[2] + 1, _FRAMES_PER_LATENT)]
        chunks = [stream.run(pixels[:, :, low:high]) for low, high in itertools.pairwise(edges)]
        latents = np.concatenate(chunks, axis=2)  # [1, z, T, h, w]
        mask = np.zeros((1, _MASK_CHANNEL_COUNT, *latents.shape[2:]), np.float32)
        mask[:, :, : self.latent_frame_count] = 1.0
        return Opening(np.concatenate([mask, latents], axis=1))


class ColourMatched:
    """Another join whose given frames first get mean and spread of each channel of the chain's first frame."""

    def __init__(self, join: SegmentJoin) -> None:
        self._join = join
        self._first: Frames | None = None

    @property
    def given_frame_count(self) -> int:
        """See ``SegmentJoin``."""
        return self._join.given_frame_count

    def begin_chain(self, picture: Frames) -> None:
        """Sets the first frame of the next chain, [height, width, 3]."""
        self._first = picture

    def begin(self, frames: Sequence[Pixels], noise: Array, encoder: FrameEncoder) -> Opening:
        """See ``SegmentJoin.begin``."""
        assert self._first is not None
        return self._join.begin(match_colours(frames, self._first), noise, encoder)


def match_colours(frames: Sequence[Pixels], first: Frames) -> list[Pixels]:
    """The frames with a linear change of each channel: mean and spread of the last frame become those of ``first``."""
    wanted, last = (item.reshape(-1, 3).astype(np.float64) for item in (first, frames[-1]))
    gain = wanted.std(axis=0) / np.maximum(last.std(axis=0), 1.0)
    return [
        np.clip(np.round((frame - last.mean(axis=0)) * gain + wanted.mean(axis=0)), 0, 255).astype(np.uint8)
        for frame in frames
    ]


def _frame_count(latent_frame_count: int) -> int:
    return _FRAMES_PER_LATENT * (latent_frame_count - 1) + 1
