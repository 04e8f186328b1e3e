"""Tracks the subject through a clip by its difference from the known backdrop.

Treats drawn and generated clips alike. The scene's backdrop and light model are given, the motion is measured.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PilImage
from PIL import ImageFilter

from pocket.world import ClipSpec, apply_light, render_additions, render_backdrop

_LIGHTS = np.linspace(-1.0, 1.0, 41)
_COARSE = 4  # every fourth light is tried, then those around the best
_DIFFERENCE = 0.06
"""Threshold of the mean colour difference (0..1); reproduces the masks of drawn clips best (see the tests)."""
_COLUMNS_AND_ROWS = 3
_MARGIN_PX = 3


@dataclass(frozen=True)
class Place:
    """Position of the subject in one frame: centre and size as fractions of the side, mask [height, width] bool."""

    x: float
    y: float
    size: float
    mask: NDArray[np.bool_]


@dataclass(frozen=True)
class Track:
    """Measured position, size and light for each frame, [frames] float64; positions are fractions of the side.

    light: -1 dark, 0 as painted, +1 glaring; masks: [frames, height, width] bool.
    """

    centre_x: NDArray[np.float64]
    centre_y: NDArray[np.float64]
    size: NDArray[np.float64]
    """Square root of the covered share of the picture."""
    light: NDArray[np.float64]
    masks: NDArray[np.bool_]


def track_subject(frames: NDArray[np.uint8], spec: ClipSpec) -> Track:
    """Find the subject of `spec` in frames [frames, height, width, 3] uint8.

    Distractor and lettering are left out: the autoencoder blurs them, which is no motion of the subject.
    """
    backdrop = render_backdrop(spec)
    lit = np.stack([apply_light(backdrop, float(light)) for light in _LIGHTS])
    beside = ~additions(spec)
    rows = [_find(frame / 255.0, lit, beside) for frame in frames]
    x, y, size, light, masks = zip(*rows, strict=True)
    return Track(np.array(x), np.array(y), np.array(size), np.array(light), np.stack(masks))


def _find(
    frame: NDArray[np.float64], lit: NDArray[np.float64], beside: NDArray[np.bool_]
) -> tuple[float, float, float, float, NDArray[np.bool_]]:
    # frame: [height, width, 3]; lit: [lights, height, width, 3]
    coarse = min(range(0, len(lit), _COARSE), key=lambda index: _median_difference(frame, lit[index]))
    near = range(max(coarse - _COARSE + 1, 0), min(coarse + _COARSE, len(lit)))
    best = min(near, key=lambda index: _median_difference(frame, lit[index]))
    light = float(_LIGHTS[best])
    found = _locate(_colour_difference(frame, lit[best]) * beside, light)
    return found.x, found.y, found.size, light, found.mask


def additions(spec: ClipSpec) -> NDArray[np.bool_]:
    """Return the pixels of distractor and lettering with a margin of `_MARGIN_PX`: [height, width]."""
    image = PilImage.fromarray(render_additions(spec).astype(np.uint8))
    return np.asarray(image.filter(ImageFilter.MaxFilter(2 * _MARGIN_PX + 1))).astype(np.bool_)


def _median_difference(frame: NDArray[np.float64], backdrop: NDArray[np.float64]) -> float:
    return float(np.median(_colour_difference(frame, backdrop)))


def _colour_difference(frame: NDArray[np.float64], backdrop: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the mean over the channels, [height, width]; written out, as numpy is slow over an axis of three."""
    difference = np.abs(backdrop - frame)
    return np.asarray((difference[..., 0] + difference[..., 1] + difference[..., 2]) / 3.0)


def locate_subject(frame: NDArray[np.float64], backdrop: NDArray[np.float64], light: float) -> Place:
    """Locate the subject as the difference of frame and backdrop, both [height, width, 3] in 0..1 under `light`."""
    return _locate(_colour_difference(frame, backdrop), light)


def _locate(difference: NDArray[np.float64], light: float) -> Place:
    contrast = _smooth(difference)
    mask = contrast > _DIFFERENCE * _contrast_left(light)
    height, width = mask.shape
    weights = np.where(mask, contrast, 0.0)
    total = weights.sum()
    if total <= 0.0:
        return Place(0.5, 0.5, 0.0, mask)
    rows = (np.arange(height) + 0.5) / height
    columns = (np.arange(width) + 0.5) / width
    x = float((weights.sum(axis=0) * columns).sum() / total)
    y = float((weights.sum(axis=1) * rows).sum() / total)
    return Place(x, y, float(np.sqrt(mask.mean())), mask)


def _contrast_left(light: float) -> float:
    """Return the share of the painted contrast that remains under a light; the threshold is scaled by it."""
    return float((apply_light(np.ones((1, 1, 3)), light) - apply_light(np.zeros((1, 1, 3)), light)).mean())


def _smooth(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Take the mean of each 3x3 neighbourhood, which removes single pixels."""
    padded = np.pad(values, 1, mode="edge")
    height, width = values.shape
    shifted = [
        padded[dy : dy + height, dx : dx + width] for dy in range(_COLUMNS_AND_ROWS) for dx in range(_COLUMNS_AND_ROWS)
    ]
    return np.asarray(np.mean(shifted, axis=0))
