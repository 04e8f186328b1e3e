"""The drawn training clips, cached on disk."""

from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.host.parent import end_with_parent
from pocket.train.progress import track
from pocket.world import FRAME_COUNT, PICTURE_PX, ClipSpec, render_clip, sample_spec

_DRAWING_PROCESSES = 2
_CHUNK_CLIPS = 16


def training_spec(index: int) -> ClipSpec:
    """Return the spec of training clip `index`, never a held-out combination."""
    return sample_spec(index, held_out=False)


def load_training_frames(folder: Path, clip_count: int) -> NDArray[np.uint8]:
    """Return the clips as [clips, frames, height, width, 3] uint8, memory-mapped; draws them if the file is missing."""
    path = folder / f"clips_{clip_count}.npy"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        _draw_all(path, clip_count)
    frames: NDArray[np.uint8] = np.load(path, mmap_mode="r")
    return frames


def _draw_all(path: Path, clip_count: int) -> None:
    partial = path.with_suffix(".partial.npy")
    shape = (clip_count, FRAME_COUNT, PICTURE_PX, PICTURE_PX, 3)
    frames = np.lib.format.open_memmap(partial, mode="w+", dtype=np.uint8, shape=shape)
    with ProcessPoolExecutor(_DRAWING_PROCESSES, initializer=end_with_parent) as pool:
        drawn = pool.map(_draw_one, range(clip_count), chunksize=_CHUNK_CLIPS)
        for index, clip in enumerate(track(drawn, "drawing clips", clip_count)):
            frames[index] = clip
    frames.flush()
    partial.rename(path)


def _draw_one(index: int) -> NDArray[np.uint8]:
    return render_clip(training_spec(index)).frames
