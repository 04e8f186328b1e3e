"""Loss weights that emphasise the subject of a clip, the more the smaller the subject is.

Computed from the planned motion of the training clip; weight 1 where the subject is not.
"""

from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pocket.train.clips import training_spec
from pocket.world import FRAME_COUNT, PICTURE_PX
from pocket.world.motion import plan_motion

_FRAMES_OF_A_LATENT = 4
_CELL_PX = 8
_CELLS = PICTURE_PX // _CELL_PX
_WEIGHT = 2.0
"""Weight that a cell covered by a subject of ordinary size gets on top of 1."""
_ORDINARY_SHARE = 0.28
"""Mean share of the cells that a drawn subject touches (64 clips)."""
_LARGEST_GAIN = 3.0


def emphasis(clips: NDArray[np.int64]) -> Tensor:
    """Return the weights for training clips, given by index: [clips, 1, latent frames, height / 8, width / 8]."""
    return torch.from_numpy(np.stack([_latent_weights(int(clip)) for clip in clips]))[:, None]


def frame_emphasis(clips: NDArray[np.int64]) -> Tensor:
    """Return the same weights for pixels: [clips, 1, frames, height, width]."""
    weights = emphasis(clips)
    rest = weights[:, :, 1:].repeat_interleave(_FRAMES_OF_A_LATENT, dim=2)
    frames = torch.cat([weights[:, :, :1], rest], dim=2)
    return frames.repeat_interleave(_CELL_PX, dim=3).repeat_interleave(_CELL_PX, dim=4)


@cache
def _latent_weights(clip: int) -> NDArray[np.float32]:
    motion = plan_motion(training_spec(clip))
    frames = np.stack(
        [_covered(x, y, side) for x, y, side in zip(motion.centre_x, motion.centre_y, motion.size, strict=True)]
    )
    groups = frames[1:].reshape((FRAME_COUNT - 1) // _FRAMES_OF_A_LATENT, _FRAMES_OF_A_LATENT, _CELLS, _CELLS)
    covered = np.concatenate([frames[:1], groups.max(axis=1)])  # the first latent frame encodes one frame only
    share = covered.mean(axis=(1, 2), keepdims=True)
    gain = np.minimum(_ORDINARY_SHARE / np.maximum(share, 1e-3), _LARGEST_GAIN)
    return np.asarray(1.0 + _WEIGHT * gain * covered, dtype=np.float32)


def _covered(x: float, y: float, side: float) -> NDArray[np.float64]:
    """Return the covered share of each cell [rows, columns] for a square box; lengths are fractions of the side."""
    rows, columns = (_overlap(centre - side / 2.0, centre + side / 2.0) for centre in (y, x))
    return rows[:, None] * columns[None, :]


def _overlap(low: float, high: float) -> NDArray[np.float64]:
    edges = np.arange(_CELLS + 1) / _CELLS
    return np.clip(np.minimum(edges[1:], high) - np.maximum(edges[:-1], low), 0.0, None) * _CELLS
