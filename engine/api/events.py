"""Events of a running job, in the order in which ``Engine.generate`` yields them: stages, steps, frames, the end."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass

from engine.api.diagnosis import Diagnosis
from engine.api.match_report import MatchReport
from engine.api.media import Pixels


class Stage(enum.Enum):
    """Stages of a job, in order."""

    MATCH = "match"
    ENCODE_TEXT = "encode_text"
    ENCODE_IMAGE = "encode_image"
    DENOISE = "denoise"
    DECODE = "decode"


class Expert(enum.Enum):
    """Transformers of a model."""

    HIGH_NOISE = "high_noise"
    LOW_NOISE = "low_noise"
    SINGLE = "single"


@dataclass(frozen=True, slots=True)
class StageStarted:
    """A stage begins."""

    stage: Stage


@dataclass(frozen=True, slots=True)
class StepDone:
    """A denoising step ended. ``completed_step_count`` runs from 1; ``preview`` is at latent resolution."""

    completed_step_count: int
    step_count: int
    expert: Expert
    step_seconds: float
    preview: Pixels | None = None


@dataclass(frozen=True, slots=True)
class FrameReady:
    """A frame of the clip; frames come in order from index 0."""

    index: int
    pixels: Pixels


@dataclass(frozen=True, slots=True)
class FrameMatch:
    """Match score, 0..100, of one frame and the sentence."""

    frame_index: int
    score: float


@dataclass(frozen=True, slots=True)
class JobDone:
    """The clip is complete. ``first_frame_psnr_db`` compares the first frame with the prepared picture.

    ``frame_matches`` are of some frames, in order; none without a scorer or where no match was scored.
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


Event = StageStarted | MatchReport | StepDone | FrameReady | JobDone
