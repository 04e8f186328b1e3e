"""A generated clip, and ComfyUI's VIDEO of it."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stillcue.frame_rates import exact_frame_rate

from . import host

if TYPE_CHECKING:
    import torch

    from stillcue import Summary


@dataclass(frozen=True)
class Clip:
    """Frames [count, height, width, 3] and the video file, each only where it was asked for."""

    summary: Summary
    images: torch.Tensor | None
    file: bytes | None


def video_of(clip: Clip) -> object:
    """Returns ComfyUI's VIDEO of a clip: the server's file, or the frames at the exact rate."""
    if clip.file is not None:
        return host.video_of_file(io.BytesIO(clip.file))
    assert clip.images is not None  # a clip without a file has frames
    return host.video_of_frames(clip.images, exact_frame_rate(clip.summary.settings.frame_rate))
