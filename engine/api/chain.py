"""Chains: clips longer than the longest compiled length, made of segments, each of which begins where the last ended.

A segment is made like a clip of a compiled length. From the second one on, its first ``given_frame_count`` frames
repeat the last frames of the segment before and are not sent again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from engine.api.match_report import MatchReport
    from engine.api.media import Pixels


@dataclass(frozen=True, slots=True)
class SegmentSpec:
    """A segment as the caller asks for it.

    ``frame_count`` is a compiled length, 0: the bundle's default. Guidance scales None: those of the job. ``seed``
    None: the job's seed + the number of segments before this one.
    """

    prompt: str
    frame_count: int = 0
    seed: int | None = None
    guidance_scale: float | None = None
    guidance_scale_low_noise: float | None = None


@dataclass(frozen=True, slots=True)
class SegmentStarted:
    """A segment of a chain begins; ``number`` counts from 1. Clips of one segment have no such event."""

    number: int
    segment_count: int


@dataclass(frozen=True, slots=True)
class Seam:
    """Measurements where a segment begins, beside the medians of the same measurements inside the segments.

    ``frame_index`` is that of the first new frame. Formulas: ``engine.analysis.diagnosis.seams``.
    """

    frame_index: int
    motion_jump: float
    motion_jump_inside: float
    colour_shift: float
    colour_shift_inside: float


@dataclass(frozen=True, slots=True, eq=False)
class SegmentEnd:
    """What a segment leaves for the next one and for the review of the chain.

    ``frames``: its last frames, as many as the next segment repeats, oldest first. ``displacements`` [blocks, 2]: how
    far each block moved up to the last frame, y and x in px of a frame whose shorter side is 64. ``motion_jumps`` and
    ``colour_shifts``: the measurements of ``Seam`` between the segment's own frames. ``subject`` and ``content``: unit
    vectors [samples, size] of sampled frames, of the subject and of the whole frame, by the scorer's features;
    ``sample_indices``: the indices of these frames in the clip. Without a scorer there are none.
    """

    frames: tuple[Pixels, ...]
    displacements: NDArray[np.int8] | None = None
    motion_jumps: tuple[float, ...] = ()
    colour_shifts: tuple[float, ...] = ()
    sample_indices: tuple[int, ...] = ()
    subject: NDArray[np.float32] | None = None
    content: NDArray[np.float32] | None = None


@dataclass(frozen=True, slots=True)
class ChainDrift:
    """How far the end of a chain is from its beginning; None without a scorer.

    ``subject_consistency``: likeness of the subject in the last quarter to that in frame 0. ``loop_back``: how much
    more the last quarter resembles the first segment's frames than the frames between do. Formulas:
    ``engine.analysis.diagnosis.loop_back``.
    """

    subject_consistency: float | None
    loop_back: float | None


@dataclass(frozen=True, slots=True)
class ChainStop:
    """The segment ``number`` was not made: its sentence and the frame it would begin from match too little."""

    number: int
    report: MatchReport
    minimum_score: float
