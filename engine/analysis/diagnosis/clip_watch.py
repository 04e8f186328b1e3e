"""Measures the frames of a clip as they are decoded, and keeps some frames for the scorer.

Of a chain each segment has a watch, which sees the frames that the segment adds; ``seams`` compares two of them.

Light versions of VBench's definitions (Huang et al. 2024), not comparable with its leaderboard:

* dynamic degree: share of pairs of frames about 1/8 s apart whose largest 5 % of displacements (``flow``) exceed 6/256
  of the shorter side, VBench's threshold; a clip is dynamic from a quarter on;
* temporal flicker: 1 - mean change of pixels between neighbouring frames; motion lowers it too;
* largest change: of neighbouring frames; a cut stands far above the rest;
* burnt gain: share of pixels with a channel at either end of its range and another far from it, or all at the upper
  end, in the last quarter, minus that of the first frame;
* edge gain: logarithm of the edge density in the last quarter over that of the first frame; the density is the mean
  absolute gradient of the luminance by the luminance's standard deviation, so that a change of light leaves it alone;
* saturation gain: the 0.95 quantile of the pixels' saturation (of HSV) in the last quarter, minus that of the first
  frame: high guidance scales oversaturate.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.analysis.diagnosis.flow import (
    Displacements,
    Luminance,
    displacements,
    largest_displacement,
    small_luminance,
)
from engine.api.diagnosis import ClipMetrics, Likeness
from engine.api.media import Pixels

Channel = NDArray[np.uint8]
Colour = NDArray[np.float64]  # [3]: red, green, blue
MAX_SAMPLE_COUNT = 8
MOVING_ABOVE = 6.0 / 256.0
DYNAMIC_FROM = 0.25
_PAIRS_PER_SECOND = 8.0
_LEAST_DENSITY = 1e-3


@dataclass(frozen=True, slots=True)
class _Look:
    """Burnt share, logarithm of the edge density, and saturation of a frame."""

    burnt: float
    edges: float
    saturation: float


class ClipWatch:
    """Call ``add`` with every frame in order. ``frame_rate`` is frames per second.

    ``interval``: frames from the first to the second frame of a pair. ``fields``: the displacements of each pair.
    ``colours``: mean red, green and blue of each frame, 0..1. ``earliest`` and ``latest``: luminances of up to
    ``interval`` frames at the beginning, and of up to ``interval`` + 1 at the end.
    """

    def __init__(self, frame_count: int, frame_rate: float) -> None:
        self.interval = max(round(frame_rate / _PAIRS_PER_SECOND), 1)
        self.fields: list[Displacements] = []
        self.colours: list[Colour] = []
        self.earliest: list[Luminance] = []
        self.latest: deque[Luminance] = deque(maxlen=self.interval + 1)
        self._seconds = self.interval / frame_rate
        self._sampled = frozenset(sample_indices(frame_count))
        self._last_quarter = frame_count - max(frame_count // 4, 1)
        self._count = 0
        self._changes: list[float] = []
        self._first = _Look(0.0, 0.0, 0.0)
        self._last: list[_Look] = []
        self.samples: dict[int, Pixels] = {}  # frames for the scorer, by index

    def add(self, pixels: Pixels) -> None:
        """Measures the next frame, uint8 [H, W, 3]; takes a millisecond or two."""
        luminance = small_luminance(pixels)
        if self.latest:
            self._changes.append(float(np.abs(luminance - self.latest[-1]).mean()) / 255.0)
        self.latest.append(luminance)
        if self._count and self._count % self.interval == 0:
            self.fields.append(displacements(self.latest[0], luminance))
        if self._count < self.interval:
            self.earliest.append(luminance)
        self.colours.append(mean_colour(pixels))
        if self._count == 0:
            self._first = _look_of(pixels, luminance)
        elif self._count >= self._last_quarter:
            self._last.append(_look_of(pixels, luminance))
        if self._count in self._sampled:
            self.samples[self._count] = pixels
        self._count += 1

    def last_displacements(self) -> Displacements:
        """Displacements of the pair that ends with the last frame; 0 for a clip of one frame."""
        if self.fields and (self._count - 1) % self.interval == 0:
            return self.fields[-1]
        return displacements(self.latest[0], self.latest[-1])

    def metrics(self, likeness: Likeness | None = None) -> ClipMetrics:
        """The measurements of all frames so far. A clip of one frame has no motion."""
        lengths = [largest_displacement(item) for item in self.fields]
        moving = [item > MOVING_ABOVE for item in lengths]
        return ClipMetrics(
            dynamic_degree=_mean(moving),
            motion_speed=_mean(lengths) / self._seconds,
            temporal_flicker=1.0 - _mean(self._changes),
            largest_change=max(self._changes, default=0.0),
            burnt_gain=_mean([item.burnt - self._first.burnt for item in self._last]),
            likeness=likeness,
            edge_gain=_mean([item.edges - self._first.edges for item in self._last]),
            saturation_gain=_mean([item.saturation - self._first.saturation for item in self._last]),
        )


def sample_indices(frame_count: int) -> tuple[int, ...]:
    """Up to eight frame indices at equal distances, including the first and the last."""
    count = min(frame_count, MAX_SAMPLE_COUNT)
    return tuple(sorted({round(index * (frame_count - 1) / max(count - 1, 1)) for index in range(count)}))


def mean_colour(pixels: Pixels) -> Colour:
    """Mean red, green and blue of a frame [H, W, 3], each 0..1."""
    sums = np.add.reduce(pixels, axis=0, dtype=np.uint32).sum(axis=0)  # rows first: numpy is slow over an axis of three
    colour: Colour = sums / (255.0 * pixels.shape[0] * pixels.shape[1])
    return colour


def burnt_share(pixels: Pixels) -> float:
    """Share of pixels clipped to white or to one pure colour, of every second row and column."""
    highest, lowest = _extremes(pixels[::2, ::2])
    burnt = (highest >= 254) & ((lowest <= 1) | (lowest >= 254))
    return float(burnt.mean())


def edge_density(luminance: Luminance) -> float:
    """Mean absolute gradient over the standard deviation, of luminances [H, W]; 0 for a frame of one grey."""
    values = luminance.astype(np.float64)
    spread = float(values.std())
    if not spread:
        return 0.0
    return float(np.abs(np.diff(values, axis=0)).mean() + np.abs(np.diff(values, axis=1)).mean()) / spread


def high_saturation(pixels: Pixels) -> float:
    """The 0.95 quantile of (highest - lowest channel) / highest channel, of every fourth row and column."""
    highest, lowest = (channel.astype(np.float32) for channel in _extremes(pixels[::4, ::4]))
    return float(np.quantile((highest - lowest) / np.maximum(highest, 1.0), 0.95))


def _extremes(pixels: Pixels) -> tuple[Channel, Channel]:
    """Highest and lowest channel of each pixel, [H, W]; channel by channel, as numpy is slow over an axis of three."""
    red, green, blue = (np.ascontiguousarray(pixels[..., index]) for index in range(3))
    return np.maximum(np.maximum(red, green), blue), np.minimum(np.minimum(red, green), blue)


def _look_of(pixels: Pixels, luminance: Luminance) -> _Look:
    return _Look(burnt_share(pixels), math.log(max(edge_density(luminance), _LEAST_DENSITY)), high_saturation(pixels))


def _mean(values: list[float] | list[bool]) -> float:
    return float(np.mean(values)) if values else 0.0
