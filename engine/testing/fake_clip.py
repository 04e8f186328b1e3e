"""The pixels, the steps and the judged success of the fake engine's clips; see ``fake_engine``."""

from __future__ import annotations

import numpy as np

from engine.api.job import PreparedJob, PreparedSegment
from engine.api.match_report import SuccessBasis, SuccessEstimate
from engine.api.media import Pixels
from engine.api.reuse import StepReuse, StepWork

_TURNS = {
    StepReuse.OFF: (StepWork.FULL,),
    StepReuse.BALANCED: (StepWork.FULL, StepWork.GUIDANCE_REUSED, StepWork.REUSED),
    StepReuse.FAST: (StepWork.FULL, StepWork.REUSED),
}


def fake_works(reuse: StepReuse, step_count: int) -> list[StepWork]:
    """What the steps of a clip of the fake engine do."""
    turns = _TURNS[reuse]
    return [*(turns[step % len(turns)] for step in range(step_count - 1)), StepWork.FULL]


def fake_success(seed: int) -> SuccessEstimate:
    """The judged success of a clip of the fake engine."""
    return SuccessEstimate(seed % 10 / 10, SuccessBasis.MEASURED)


def last_frames(job: PreparedJob, number: int) -> tuple[Pixels, ...]:
    """The frames that the segment after this one repeats; none where no segment follows. Numbers are from 1."""
    following = job.segments[number : number + 1]
    if not following:
        return ()
    frames = (
        frame_of(segment, segment.first_frame_index + index)
        for segment in job.segments[:number]
        for index in range(segment.new_frame_count)
    )
    return tuple(frames)[-following[0].given_frame_count :]


def frame_of(clip: PreparedSegment, index: int) -> Pixels:
    """The frame with an index that counts through all segments."""
    colour = ((clip.settings.seed + index) % 256, index % 256, len(clip.prompt) % 256)
    return plain(clip.settings.width_px, clip.settings.height_px, colour)


def plain(width_px: int, height_px: int, colour: tuple[int, int, int]) -> Pixels:
    """A picture of one colour."""
    return np.full((height_px, width_px, 3), colour, dtype=np.uint8)
