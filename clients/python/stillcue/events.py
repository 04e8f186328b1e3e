"""What a Generate call tells, event by event. Plain frozen data; the wire's names, Python's types.

Knows no protobuf and no gRPC: ``stillcue.response`` fills these in. Times are seconds, sizes pixels or bytes. Every
enumeration holds ``UNKNOWN`` for a value that only a newer server knows; an event that only a newer server
knows is left out of the stream.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stillcue.match import Box, MatchBasis, MatchMode, MatchReport, MatchVerdict

if TYPE_CHECKING:
    from collections.abc import Mapping

    from stillcue.diagnosis import Diagnosis

# A match report is an event too, though it stands in a file of its own.
__all__ = [
    "Accepted",
    "Box",
    "DenoiseProgress",
    "Event",
    "Expert",
    "Frame",
    "FrameEncoding",
    "FrameMatch",
    "MatchBasis",
    "MatchMode",
    "MatchReport",
    "MatchVerdict",
    "PictureFit",
    "Preview",
    "QueueUpdate",
    "Settings",
    "Stage",
    "StageStarted",
    "Summary",
]


class Stage(enum.StrEnum):
    """Stages of the work, in order."""

    UNKNOWN = "unknown"
    MATCH = "match"
    ENCODE_TEXT = "encode_text"
    ENCODE_IMAGE = "encode_image"
    DENOISE = "denoise"
    DECODE = "decode"


class Expert(enum.StrEnum):
    """Transformers of a model; ``SINGLE`` is the only one of a model without experts."""

    UNKNOWN = "unknown"
    HIGH_NOISE = "high_noise"
    LOW_NOISE = "low_noise"
    SINGLE = "single"


class FrameEncoding(enum.StrEnum):
    """Encodings of frames.

    ``RAW_RGB`` is 8-bit RGB, row by row from the top, three bytes a pixel, no padding.
    """

    UNKNOWN = "unknown"
    RAW_RGB = "raw_rgb"
    PNG = "png"
    JPEG = "jpeg"
    WEBP = "webp"


class PictureFit(enum.StrEnum):
    """How a picture is brought to a clip's aspect; it is never stretched.

    ``CROP_SUBJECT`` cuts around the subject that the sentence names, ``CROP_CENTER`` from the centre; ``PAD`` keeps
    the whole picture between bars; ``REFUSE`` refuses a picture of another aspect.
    """

    UNKNOWN = "unknown"
    CROP_SUBJECT = "crop_subject"
    CROP_CENTER = "crop_center"
    PAD = "pad"
    REFUSE = "refuse"


@dataclass(frozen=True, slots=True)
class Settings:
    """Every setting of a job with the defaults filled in.

    ``frame_rate`` is frames per second. ``guidance_scale_low_noise`` is None for models with one transformer.
    ``crop`` is the part of the picture that is used, ``picture_fit`` says how it was chosen.
    """

    width_px: int
    height_px: int
    frame_count: int
    frame_rate: float
    step_count: int
    guidance_scale: float
    guidance_scale_low_noise: float | None
    seed: int
    shift: float
    negative_prompt: str
    crop: Box
    picture_fit: PictureFit = PictureFit.UNKNOWN


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a job will take: its work, the wait before it, and the device's memory. None: the server does not know."""

    work_seconds: float | None = None
    wait_seconds: float | None = None
    peak_memory_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Accepted:
    """The request is valid and has a place: the first event.

    ``warnings`` say what the caller may want to change.
    """

    request_id: str
    settings: Settings
    warnings: tuple[str, ...]
    estimate: Estimate = Estimate()


@dataclass(frozen=True, slots=True)
class QueueUpdate:
    """The job's place in the queue: jobs ahead, the running one included; 0 means that this one runs next.

    Callers take turns, so it grows where somebody comes who has fewer jobs there. ``wait_seconds`` None: not known.
    """

    position: int
    wait_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class StageStarted:
    """A stage of the work begins."""

    stage: Stage


@dataclass(frozen=True, slots=True)
class Preview:
    """A small JPEG file of what the middle of the clip looks like by now."""

    data: bytes
    width_px: int
    height_px: int


@dataclass(frozen=True, slots=True)
class DenoiseProgress:
    """A denoising step ended. ``completed_step_count`` runs from 1 to ``step_count``."""

    completed_step_count: int
    step_count: int
    expert: Expert
    step_seconds: float
    preview: Preview | None


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame of the clip; frames come in order from index 0. ``data`` is in ``encoding``."""

    index: int
    encoding: FrameEncoding
    data: bytes
    width_px: int
    height_px: int


@dataclass(frozen=True, slots=True)
class FrameMatch:
    """Match score, 0 to 100, of one frame and the sentence."""

    frame_index: int
    score: float


@dataclass(frozen=True, slots=True)
class Summary:
    """The clip is complete: the last event.

    Digests are SHA-256 in hexadecimal. ``work_seconds`` and ``first_frame_seconds`` count from the start of the
    work, without the queue. ``first_frame_psnr_db`` compares the first frame with the picture as it was
    prepared, in decibels. ``match_report`` is None where nothing was scored, ``frame_matches`` are empty then.
    ``diagnosis`` says how the clip came out and what to try next.
    """

    request_id: str
    settings: Settings
    bundle_digest: str
    checkpoint_digest: str
    stage_seconds: Mapping[Stage, float]
    queue_seconds: float
    work_seconds: float
    first_frame_seconds: float
    peak_memory_bytes: int
    first_frame_psnr_db: float
    match_report: MatchReport | None
    warnings: tuple[str, ...]
    frame_matches: tuple[FrameMatch, ...] = ()
    diagnosis: Diagnosis | None = None


Event = Accepted | QueueUpdate | StageStarted | MatchReport | DenoiseProgress | Frame | Summary
