"""The clip that both sides make, and how a side is asked for it. Imports neither torch nor the engine.

A side is a process. It prints one line once it can take a job; then each line it reads is a ``Take`` and is answered
by a line with a ``Timing``. Between lines it does nothing, so two sides can live beside each other and take turns.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Clip:
    """Settings of the clip; ``folder`` holds ``picture.png`` and ``noise.npy``, [1, z, T, h, w]."""

    folder: str
    width_px: int
    height_px: int
    frame_count: int
    step_count: int
    guidance_scale: float
    guidance_scale_low_noise: float | None
    thread_count: int

    @property
    def picture(self) -> bytes:
        """The PNG."""
        return (Path(self.folder) / "picture.png").read_bytes()

    @property
    def noise(self) -> NDArray[np.float32]:
        """The latents to start from."""
        noise: NDArray[np.float32] = np.load(Path(self.folder) / "noise.npy")
        return noise


@dataclass(frozen=True)
class Take:
    """One repeat. Prompts are new in each, so that no side answers from a cache; frames go to a file of numpy's."""

    prompt: str
    negative_prompt: str
    frames_file: str


@dataclass(frozen=True)
class Timing:
    """Seconds of one take.

    ``end_to_end``: from a picture file and two sentences to the last frame. ``denoise_step``: median distance of the
    ends of neighbouring steps. ``decode`` and ``first_frame``: from the end of the last step to the last and to the
    first frame.
    """

    end_to_end: float
    denoise_step: float
    decode: float
    first_frame: float
    peak_memory_bytes: int


@dataclass(frozen=True)
class Marks:
    """Moments of one take, in seconds of any clock."""

    started: float
    step_ends: list[float]
    first_frame: float
    ended: float

    def timing(self) -> Timing:
        """The differences that are reported, and the peak of this process."""
        from engine.runtime.process_memory import (
            peak_resident_bytes,  # only now: the other side's start must not pay for it
        )

        last_step = self.step_ends[-1]
        return Timing(
            end_to_end=self.ended - self.started,
            denoise_step=float(np.median(np.diff(self.step_ends))),
            decode=self.ended - last_step,
            first_frame=self.first_frame - last_step,
            peak_memory_bytes=peak_resident_bytes(),
        )


MakeTake = Callable[[Take], tuple[Marks, NDArray[Any]]]


def serve(make: MakeTake) -> None:
    """Says that the side is ready, then makes takes until its input ends."""
    _say({"ready": True})
    for line in sys.stdin:
        take = Take(**json.loads(line))
        marks, frames = make(take)
        timing = marks.timing()
        np.save(take.frames_file, frames)
        _say(asdict(timing))


def _say(content: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(content) + "\n")
    sys.stdout.flush()
