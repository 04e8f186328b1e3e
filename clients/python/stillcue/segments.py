"""Segments of a chain, as asked for and as made: dataclasses that mirror the contract. Imports no protobuf, no gRPC.

A clip that is longer than the model's own length is a chain of segments, each of which begins with the last frame, or
the last frames, of the one before. Frames are numbered through the chain.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stillcue.diagnosis import Diagnosis
    from stillcue.match import MatchReport, SuccessEstimate


@dataclass(frozen=True, slots=True)
class Segment:
    """A segment to make, with a sentence that is complete in itself.

    ``frame_count``: frames that the model makes for it, a length of ``geometries``; 0: the server's default. From the
    second segment on, the first of these repeat the segment before and are not sent. ``seed`` None: that of the clip +
    the number of segments before this one. Guidance scales None: those of the clip; the one of the low-noise expert
    first takes ``guidance_scale`` of this segment.
    """

    prompt: str
    frame_count: int = 0
    seed: int | None = None
    guidance_scale: float | None = None
    guidance_scale_low_noise: float | None = None


@dataclass(frozen=True, slots=True)
class SegmentSettings:
    """All settings of a segment with defaults filled in. ``number`` counts from 1.

    The segment adds ``frame_count`` frames to the clip, from ``first_frame_index`` on; the model makes
    ``compiled_frame_count``. ``guidance_scale_low_noise`` is None for models with one transformer.
    """

    number: int
    prompt: str
    first_frame_index: int
    frame_count: int
    compiled_frame_count: int
    seed: int
    guidance_scale: float
    guidance_scale_low_noise: float | None


@dataclass(frozen=True, slots=True)
class SegmentStarted:
    """A segment of a chain begins; ``number`` counts from 1. Clips of one segment have no such event."""

    number: int
    segment_count: int
    attempt: int = field(default=0, compare=False)

    @property
    def segment(self) -> int:
        """Its number, under the name that other events have."""
        return self.number


@dataclass(frozen=True, slots=True)
class Seam:
    """Measurements where a segment begins, each beside its median inside the segments.

    ``frame_index`` is that of the first new frame. ``motion_jump``: change of motion, as a share of the shorter side.
    ``colour_shift``: shift of the mean colour, as a share of the range of values.
    """

    frame_index: int
    motion_jump: float
    motion_jump_inside: float
    colour_shift: float
    colour_shift_inside: float


@dataclass(frozen=True, slots=True)
class SegmentResult:
    """A segment of a chain is complete: all of its frames were sent. Also an event of the stream.

    It added ``frame_count`` frames from ``first_frame_index`` on. ``match_report``: its sentence and the frame that it
    began from. ``diagnosis`` and ``success`` judge the segment alone. ``match_report`` and ``success`` are None if the
    match was not scored, ``success`` also if the bundle cannot judge clips; ``seam`` is None for the first segment.
    """

    number: int
    first_frame_index: int
    frame_count: int
    match_report: MatchReport | None
    diagnosis: Diagnosis | None
    success: SuccessEstimate | None
    work_seconds: float
    seam: Seam | None
    attempt: int = field(default=0, compare=False)

    @property
    def segment(self) -> int:
        """Its number, under the name that other events have."""
        return self.number


@dataclass(frozen=True, slots=True)
class ChainDrift:
    """How far the end of a chain is from its beginning. None: the match was not scored.

    ``subject_consistency``: likeness of the subject in the last quarter to that in the first frame, up to 1.
    ``loop_back``: how much more the last segment resembles frames of the first one than the frames between do, 0 or
    more; the clip returns to its beginning.
    """

    subject_consistency: float | None
    loop_back: float | None


@dataclass(frozen=True, slots=True)
class ChainStop:
    """A chain ended before ``segment``, the number of the first segment that was not made.

    ``match_report``: its sentence and the frame that it would begin from, which match less than ``minimum_score``, 0 to
    100.
    """

    segment: int
    match_report: MatchReport
    minimum_score: float
