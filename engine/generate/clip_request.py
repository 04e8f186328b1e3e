"""One clip of a compiled length: a whole job, or a segment of a chain."""

from __future__ import annotations

from dataclasses import dataclass, replace

from engine.analysis.diagnosis.clip_watch import ClipWatch
from engine.analysis.diagnosis.likeness import SampleVectors
from engine.api.events import JobDone
from engine.api.job import PreparedJob, PreparedSegment
from engine.api.media import Box, Pixels


@dataclass(frozen=True, slots=True, eq=False)
class ClipRequest:
    """A clip to make. ``job`` is a job of this clip alone.

    The first decoded frames repeat ``given_frames``, oldest first, and are not yielded. The next ``new_frame_count``
    are, numbered from ``first_frame_index`` on. Frames after these are not decoded.
    """

    job: PreparedJob
    new_frame_count: int
    first_frame_index: int = 0
    given_frames: tuple[Pixels, ...] = ()

    @property
    def first_frame(self) -> Pixels:
        """The picture that the first decoded frame should equal."""
        return self.given_frames[0] if self.given_frames else self.job.picture


@dataclass(frozen=True, slots=True, eq=False)
class MadeClip:
    """A finished clip: summary, measurements of its new frames, and vectors of the sampled ones, None without scores.

    ``last_frames``: the last frames of the chain so far, as many as the next segment repeats.
    """

    done: JobDone
    watch: ClipWatch
    vectors: SampleVectors | None
    last_frames: tuple[Pixels, ...]


def whole_clip(job: PreparedJob) -> ClipRequest:
    """The clip of a job of one segment."""
    return ClipRequest(job, job.settings.frame_count)


def clip_of_segment(job: PreparedJob, segment: PreparedSegment, given_frames: tuple[Pixels, ...]) -> ClipRequest:
    """The clip of a segment, without ``given_frames`` that of the first one.

    A later segment is scored by the last given frame, which is the picture of its ``job``: no file is behind it, so
    that there is no picture report, and the crop is the whole frame.
    """
    own = replace(job, prompt=segment.prompt, settings=segment.settings, warnings=(), segments=(), begins_after=())
    if given_frames:
        frame = given_frames[-1]
        crop = Box(0, 0, frame.shape[1], frame.shape[0])
        own = replace(own, picture=frame, picture_report=None, settings=replace(own.settings, crop=crop))
    return ClipRequest(own, segment.new_frame_count, segment.first_frame_index, given_frames)
