"""The single pictures that the scorer is trained on, with the subject's share of each patch, cached on disk."""

from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.host.parent import end_with_parent
from pocket.settings import SCORER_PATCH_PX
from pocket.train.clips import training_spec
from pocket.train.progress import track
from pocket.world import FRAME_COUNT, PICTURE_PX, ClipSpec, render_clip

_DRAWING_PROCESSES = 2
_FRAMES_OF_A_CLIP = 4


@dataclass(frozen=True)
class Stills:
    """Pictures [count, height, width, 3] uint8 and the subject's share of each patch [count, patches] float32."""

    pictures: NDArray[np.uint8]
    shares: NDArray[np.float32]

    def spec(self, index: int) -> ClipSpec:
        """Return the spec of the clip that picture `index` is a frame of."""
        return training_spec(index // _FRAMES_OF_A_CLIP)


def load_stills(folder: Path, clip_count: int) -> Stills:
    """Load the pictures; draws them first if the file is missing. Each clip gives its first frame and three others."""
    path = folder / f"stills_{clip_count}.npz"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        with ProcessPoolExecutor(_DRAWING_PROCESSES, initializer=end_with_parent) as pool:
            drawn = track(pool.map(_draw, range(clip_count), chunksize=16), "drawing pictures", clip_count)
            pictures, shares = zip(*drawn, strict=True)
        partial = path.with_suffix(".partial.npz")
        np.savez(partial, pictures=np.concatenate(pictures), shares=np.concatenate(shares))
        partial.rename(path)
    with np.load(path) as stored:
        return Stills(stored["pictures"], stored["shares"])


def patch_shares(masks: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the mean of each patch, row by row: [pictures, height, width] in 0..1 -> [pictures, patches]."""
    side = PICTURE_PX // SCORER_PATCH_PX
    cells = masks.reshape(len(masks), side, SCORER_PATCH_PX, side, SCORER_PATCH_PX)
    return cells.mean(axis=(2, 4)).reshape(len(masks), side * side).astype(np.float32)


def _draw(index: int) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    clip = render_clip(training_spec(index))
    rng = np.random.default_rng([index, 5])
    others = 1 + rng.choice(FRAME_COUNT - 1, size=_FRAMES_OF_A_CLIP - 1, replace=False)
    chosen = [0, *others]
    return clip.frames[chosen], patch_shares(clip.masks[chosen])
