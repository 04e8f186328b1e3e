"""Keeps the frames of a clip, for people who rate clips and for figures that are computed later."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image as Pillow

from evaluation.case import Frames, MadeClip
from evaluation.errors import EvaluationError
from export.atomic_file import replacing

CLIPS_FOLDER = "clips"


def clip_path(folder: Path, key: tuple[str, int]) -> Path:
    """The file of a clip."""
    arm, index = key
    return folder / arm / f"{index:04d}.webp"


def keep_clip(clip: MadeClip, folder: Path, key: tuple[str, int]) -> None:
    """Writes the frames as a lossless animated WebP at the clip's rate."""
    path = clip_path(folder, key)
    path.parent.mkdir(parents=True, exist_ok=True)
    first, *others = [Pillow.fromarray(frame) for frame in clip.frames]
    milliseconds = round(1000 / clip.figures.settings.frame_rate)
    with replacing(path) as partial:
        first.save(
            partial,
            "WEBP",
            save_all=True,
            append_images=others,
            duration=milliseconds,
            lossless=True,
            method=0,
            minimize_size=False,
            allow_mixed=False,
        )


def read_clip(folder: Path, key: tuple[str, int]) -> Frames:
    """Reads the frames of a kept clip, [frames, height, width, 3] uint8. Raises ``EvaluationError``."""
    path = clip_path(folder, key)
    if not path.is_file():
        raise EvaluationError(f"{path} is missing: clips can be judged again if the run kept them (--keep-clips)")
    with Pillow.open(path) as file:
        frames = []
        for index in range(file.n_frames):  # type: ignore[attr-defined]
            file.seek(index)
            frames.append(np.asarray(file.convert("RGB")))
    return np.stack(frames)
