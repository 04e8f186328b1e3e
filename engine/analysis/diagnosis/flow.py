"""Measures how far blocks of a picture moved between two frames.

Block matching on frames whose shorter side is 64 px, with blocks of 8 px and displacements of up to 6 px each way: the
displacement with the least absolute difference, which must be clearly better than none. Coarser than the optical flow
that VBench uses (RAFT), but enough to tell motion from none.
"""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from PIL import Image as Pillow

SIDE_PX = 64
_BLOCK_PX = 8
_REACH_PX = 6
_STILLNESS_BONUS = 64  # a mean of one level of 255: what a displacement must fit better than none, summed over a block
_TOP_SHARE = 0.05  # VBench looks at the largest 5 %

Luminance = NDArray[np.int16]
Displacements = NDArray[np.int8]  # [blocks, 2]: y and x in px of the small frame, row by row from the top

_STEPS = range(-_REACH_PX, _REACH_PX + 1)
_OFFSETS = np.array([(y, x) for y in _STEPS for x in _STEPS], np.int8)
_SHORTEST_FIRST = np.argsort((_OFFSETS.astype(np.int64) ** 2).sum(axis=1), kind="stable")


def small_luminance(pixels: NDArray[np.uint8]) -> Luminance:
    """Luminance of a frame [H, W, 3], resized to a shorter side of 64 px; both sides are a whole number of blocks."""
    height, width = pixels.shape[:2]
    scale = SIDE_PX / min(height, width)
    size = tuple(max(round(side * scale / _BLOCK_PX), 1) * _BLOCK_PX for side in (width, height))
    picture = Pillow.fromarray(pixels).convert("L")
    return np.asarray(picture.resize((size[0], size[1]), Pillow.Resampling.BOX), np.int16)


def displacements(before: Luminance, after: Luminance) -> Displacements:
    """The displacement of each block of ``before`` in ``after``; of equally good ones the shortest."""
    height, width = before.shape
    rows, columns = height // _BLOCK_PX, width // _BLOCK_PX
    padded = np.pad(after, _REACH_PX, mode="edge")
    costs = np.empty((len(_STEPS), len(_STEPS), rows, columns), np.int16)  # sums over 64 px of at most 255 each
    for index in range(len(_STEPS)):
        moved = sliding_window_view(padded[index : index + height], width, axis=1)  # [H, offsets, W]
        differences = np.subtract(moved.transpose(1, 0, 2), before)  # [offsets, H, W]
        np.abs(differences, out=differences)
        by_row = np.add.reduce(differences.reshape(len(_STEPS), rows, _BLOCK_PX, width), axis=2, dtype=np.int16)
        costs[index] = sum(by_row[:, :, column::_BLOCK_PX] for column in range(_BLOCK_PX))
    costs[_REACH_PX, _REACH_PX] -= _STILLNESS_BONUS
    best = costs.reshape(len(_OFFSETS), rows * columns)[_SHORTEST_FIRST].argmin(axis=0)
    found: Displacements = _OFFSETS[_SHORTEST_FIRST[best]]
    return found


def largest_displacement(found: Displacements) -> float:
    """Mean length of the largest 5 % of the displacements, as a share of the shorter side."""
    lengths = np.sort(np.hypot(found[:, 0].astype(np.float64), found[:, 1]))
    count = max(round(_TOP_SHARE * lengths.size), 1)
    return float(lengths[-count:].mean()) / SIDE_PX
