"""The fake engine's figures of chains. They can be computed by hand.

* at every seam the motion jumps by 0.03, beside 0.02 inside the segments; the colour shifts by 0.002, beside 0.001;
* a scored chain has a subject consistency of 0.9 and a loop-back of 0.1; one that is not scored has neither;
* a segment leaves the last frames of the clip for the next one, and, if it was scored, the unit vectors (1, 0) of the
  subject and (0, 1) of the content in its first new frame;
* the summary of a chain follows from those of its segments as ``engine.api.events.JobDone`` says, and has no symptoms.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from engine.api.chain import ChainDrift, Seam, SegmentEnd
from engine.api.events import Chain, SegmentDone

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engine.api.chain import ChainStop
    from engine.api.events import JobDone, Stage
    from engine.api.job import PreparedJob, PreparedSegment
    from engine.api.media import Pixels
    from engine.api.reuse import StepWork


def fake_segment_done(
    number: int, segment: PreparedSegment, done: JobDone, last_frames: tuple[Pixels, ...]
) -> SegmentDone:
    """The end of a segment with this summary, and with the frames that the next segment repeats."""
    end = SegmentEnd(last_frames)
    if done.match_report is not None:
        subject, content = np.array([[1, 0]], np.float32), np.array([[0, 1]], np.float32)
        end = SegmentEnd(last_frames, sample_indices=(segment.first_frame_index,), subject=subject, content=content)
    return SegmentDone(
        number,
        segment.first_frame_index,
        segment.new_frame_count,
        done,
        seam=fake_seam(segment.first_frame_index) if number > 1 else None,
        end=end,
    )


def check_begin(job: PreparedJob) -> None:
    """Raises ``ValueError`` where the segments that the job begins after lack the frames that the next one repeats."""
    end, following = job.begins_after[-1].end, job.segments[len(job.begins_after)]
    frames = () if end is None else end.frames
    if len(frames) != following.given_frame_count:
        raise ValueError(f"the next segment needs {following.given_frame_count} frames before it, not {len(frames)}")


def fake_seam(frame_index: int) -> Seam:
    """The figures of a seam."""
    return Seam(frame_index, motion_jump=0.03, motion_jump_inside=0.02, colour_shift=0.002, colour_shift_inside=0.001)


def fake_chain_done(segments: Sequence[SegmentDone], warnings: tuple[str, ...], stop: ChainStop | None) -> JobDone:
    """The summary of a chain of these complete segments, at least one."""
    clips = [segment.done for segment in segments]
    is_scored = clips[0].match_report is not None
    seconds: Counter[Stage] = Counter()
    steps: Counter[StepWork] = Counter()
    for clip in clips:
        seconds.update(clip.stage_seconds)
        steps.update(clip.step_counts)
    return replace(
        clips[0],
        stage_seconds=dict(seconds),
        work_seconds=sum(clip.work_seconds for clip in clips),
        warnings=warnings,
        frame_matches=tuple(match for clip in clips for match in clip.frame_matches),
        success=min((clip.success for clip in clips if clip.success), key=lambda item: item.probability, default=None),
        step_counts=steps,
        chain=Chain(tuple(segments), ChainDrift(0.9, 0.1) if is_scored else ChainDrift(None, None), stop),
    )
