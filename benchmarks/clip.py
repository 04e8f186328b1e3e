"""The clip that both sides of a comparison generate, and the protocol of a side. Imports neither torch nor the engine.

A side is a process. It prints one line when it is ready; then it answers each line of input, a ``Take`` as JSON, with a
line of output, a ``Timing`` as JSON. Between lines it is idle, so that two sides can stay loaded and take turns.
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
    """Settings of the clip; ``folder`` holds ``picture.png`` and ``noise.npy``, [1, z, T, h, w] float32."""

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
        """The bytes of the PNG file."""
        return (Path(self.folder) / "picture.png").read_bytes()

    @property
    def noise(self) -> NDArray[np.float32]:
        """The initial latents, [1, z, T, h, w] float32."""
        noise: NDArray[np.float32] = np.load(Path(self.folder) / "noise.npy")
        return noise


@dataclass(frozen=True)
class Take:
    """One repeat. Its prompts are new, so that no side uses a cached encoding; the frames are saved as a .npy file."""

    prompt: str
    negative_prompt: str
    frames_file: str


@dataclass(frozen=True)
class Timing:
    """Durations of one take in seconds, and the peak memory of the side's process.

    ``end_to_end``: from a picture file and two prompts to the last frame. ``denoise_step``: median time between the
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
    """Times at which the parts of one take ended, in seconds of one clock."""

    started: float
    step_ends: list[float]
    first_frame: float
    ended: float

    def timing(self) -> Timing:
        """Returns the durations between the marks, and the peak memory of this process."""
        from engine.runtime.process_memory import (
            peak_resident_bytes,  # imported here, so that it does not count in the other side's start-up
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
    """Prints the ready line, then answers takes until standard input ends."""
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
