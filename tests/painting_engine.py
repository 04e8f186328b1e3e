"""A fake engine whose frames a test paints, and frames to paint with it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from engine.api.capabilities import Geometry
from engine.api.events import FrameReady
from engine.testing.fake_engine import FAKE_CAPABILITIES, FakeEngine

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from engine.api.cancellation import CancelFlag
    from engine.api.events import Event
    from engine.api.job import PreparedJob
    from engine.api.media import Pixels


class PaintingEngine(FakeEngine):
    """Clips of ``frame_count`` frames of the size of ``frames``, which are given in turn."""

    def __init__(self, frames: Sequence[Pixels], *, frame_count: int = 9, **options: Any) -> None:
        height_px, width_px, _ = frames[0].shape
        geometry = Geometry(width_px, height_px, frame_count)
        super().__init__(capabilities=replace(FAKE_CAPABILITIES, geometries=(geometry,)), **options)
        self._frames = frames

    def generate(self, job: PreparedJob, cancel: CancelFlag) -> Iterator[Event]:
        for event in super().generate(job, cancel):
            if isinstance(event, FrameReady):
                yield FrameReady(event.index, self._frames[event.index % len(self._frames)])
            else:
                yield event


def gradient(width_px: int, height_px: int) -> Pixels:
    """Red grows to the right, green downwards, blue to the left."""
    across, down = np.meshgrid(np.linspace(0, 255, width_px), np.linspace(0, 255, height_px))
    return np.stack((across, down, 255 - across), -1).round().astype(np.uint8)


def moving_square(width_px: int, height_px: int, frame_count: int) -> list[Pixels]:
    """Frames of a gradient in which a square of a colour of its own moves by 8 pixels a frame."""
    frames = []
    for index in range(frame_count):
        pixels = gradient(width_px, height_px)
        pixels[16:48, 8 * index : 8 * index + 32] = (255, 255 - 20 * index % 256, 20 * index % 256)
        frames.append(pixels)
    return frames
