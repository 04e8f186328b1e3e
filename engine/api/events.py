"""Events of a running job, as ``Engine.generate`` yields them: stages, the match report, steps, frames, the summary.

Each segment of a chain yields them anew between ``SegmentStarted`` and ``SegmentDone``; ``JobDone`` comes once.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from engine.api.chain import ChainDrift, ChainStop, Seam, SegmentEnd, SegmentStarted
from engine.api.diagnosis import Diagnosis
from engine.api.match_report import MatchReport, SuccessEstimate
from engine.api.media import Pixels
from engine.api.reuse import StepWork


class Stage(enum.Enum):
    """Stages of a job, in order."""

    MATCH = "match"
    ENCODE_TEXT = "encode_text"
    ENCODE_IMAGE = "encode_image"
    DENOISE = "denoise"
    DECODE = "decode"


class Expert(enum.Enum):
    """The transformers of a model: two experts, or a single one."""

    HIGH_NOISE = "high_noise"
    LOW_NOISE = "low_noise"
    SINGLE = "single"


@dataclass(frozen=True, slots=True)
class StageStarted:
    """A stage begins."""

    stage: Stage


@dataclass(frozen=True, slots=True)
class StepDone:
    """One denoising step is done. ``completed_step_count`` starts at 1; ``preview`` has the size of the latents."""

    completed_step_count: int
    step_count: int
    expert: Expert
    step_seconds: float
    preview: Pixels | None = None
    work: StepWork = StepWork.FULL


@dataclass(frozen=True, slots=True)
class FrameReady:
    """One frame of the clip. Frames come in order, from index 0."""

    index: int
    pixels: Pixels


@dataclass(frozen=True, slots=True)
class FrameMatch:
    """Match score, 0..100, of one frame and the prompt."""

    frame_index: int
    score: float


@dataclass(frozen=True, slots=True)
class JobDone:
    """Summary of a complete clip. ``first_frame_psnr_db`` compares the first frame with the prepared picture.

    ``frame_matches`` holds the scores of some frames, in order; empty if the job was not scored. ``success`` is the
    probability that the clip came out well, by figures of the clip; None if the bundle has no fit for that.
    ``step_counts`` tells how many denoising steps did which work. ``chain`` None: the clip is one segment.
    """

    stage_seconds: Mapping[Stage, float]
    work_seconds: float
    first_frame_seconds: float
    peak_memory_bytes: int
    first_frame_psnr_db: float
    match_report: MatchReport | None
    warnings: tuple[str, ...]
    frame_matches: tuple[FrameMatch, ...] = ()
    diagnosis: Diagnosis | None = None
    success: SuccessEstimate | None = None
    step_counts: Mapping[StepWork, int] = field(default_factory=dict)
    chain: Chain | None = None


@dataclass(frozen=True, slots=True)
class SegmentDone:
    """A segment of a chain is complete.

    ``done`` is its summary, with frames numbered through the chain. ``frame_count`` new frames from
    ``first_frame_index`` on belong to it. ``seam`` is None for the first segment, ``end`` where it was dropped.
    """

    number: int
    first_frame_index: int
    frame_count: int
    done: JobDone
    seam: Seam | None = None
    end: SegmentEnd | None = None

    def without_frames(self) -> SegmentDone:
        """The segment as it is kept once the next one has taken its last frames."""
        return self if self.end is None else replace(self, end=replace(self.end, frames=()))


@dataclass(frozen=True, slots=True)
class Chain:
    """The complete segments of a chain, in order. ``stop`` None: no segment is missing."""

    segments: tuple[SegmentDone, ...]
    drift: ChainDrift
    stop: ChainStop | None = None


Event = StageStarted | MatchReport | StepDone | FrameReady | SegmentStarted | SegmentDone | JobDone
