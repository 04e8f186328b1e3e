"""Measures how far blocks of a picture moved between two frames.

Block matching on frames whose shorter side is 64 px, with blocks of 8 px and displacements of up to 6 px each way: the
displacement with the least absolute difference, which must be clearly better than none. Coarser than the optical flow
that VBench uses (RAFT), but enough to tell motion from none.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow

SIDE_PX = 64
_BLOCK_PX = 8
_REACH_PX = 6
_STILLNESS_BONUS = 1.0  # mean levels, of 255, by which a displacement must fit better than none
_TOP_SHARE = 0.05  # VBench looks at the largest 5 %

Luminance = NDArray[np.int16]


def small_luminance(pixels: NDArray[np.uint8]) -> Luminance:
    """Luminance of a frame [H, W, 3], resized to a shorter side of 64 px; both sides are a whole number of blocks."""
    height, width = pixels.shape[:2]
    scale = SIDE_PX / min(height, width)
    size = tuple(max(round(side * scale / _BLOCK_PX), 1) * _BLOCK_PX for side in (width, height))
    picture = Pillow.fromarray(pixels).convert("L")
    return np.asarray(picture.resize((size[0], size[1]), Pillow.Resampling.BOX), np.int16)


def largest_displacement(before: Luminance, after: Luminance) -> float:
    """Mean of the largest 5 % of the blocks' displacements, as a share of the shorter side."""
    height, width = before.shape
    padded = np.pad(after, _REACH_PX, mode="edge")
    steps = range(-_REACH_PX, _REACH_PX + 1)
    offsets = sorted(((y, x) for y in steps for x in steps), key=lambda step: step[0] ** 2 + step[1] ** 2)
    costs = np.empty((len(offsets), height // _BLOCK_PX, width // _BLOCK_PX))
    for index, (y, x) in enumerate(offsets):
        moved = padded[_REACH_PX + y : _REACH_PX + y + height, _REACH_PX + x : _REACH_PX + x + width]
        blocks = np.abs(moved - before).reshape(height // _BLOCK_PX, _BLOCK_PX, width // _BLOCK_PX, _BLOCK_PX)
        costs[index] = blocks.mean(axis=(1, 3))
    costs[0] -= _STILLNESS_BONUS  # the first offset is none
    lengths = np.array([np.hypot(*offset) for offset in offsets])
    found = np.sort(lengths[costs.argmin(axis=0)], axis=None)
    count = max(round(_TOP_SHARE * found.size), 1)
    return float(found[-count:].mean()) / SIDE_PX
