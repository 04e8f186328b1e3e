"""The events of a ``generate`` call: frozen dataclasses that mirror GenerateResponse with Python types.

Imports no protobuf and no gRPC; ``stillcue.response`` creates them. Times are in seconds, sizes in pixels or bytes.
Every enumeration has ``UNKNOWN`` for values of newer servers; unknown events of newer servers are skipped. ``attempt``
of an event is the number of the attempt that it belongs to, from 1; 0: the whole job, or an older server. ``segment``
is the number of the segment, from 1, also for a clip of one segment; 0: the whole job or attempt, or an older server. A
video chunk belongs to the segment of its last frame. Neither counts when events are compared.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

from stillcue.attempts import AttemptResult, Attempts, AttemptsEnd
from stillcue.match import Box, MatchBasis, MatchMode, MatchReport, MatchVerdict
from stillcue.media import FrameEncoding, PictureFit, VideoCodec, VideoContainer
from stillcue.reuse import StepReuse, StepWork
from stillcue.segments import ChainDrift, ChainStop, SegmentResult, SegmentSettings, SegmentStarted

if TYPE_CHECKING:
    from collections.abc import Mapping

    from stillcue.diagnosis import Diagnosis
    from stillcue.match import SuccessEstimate

# A match report and the results of attempts and segments are events too.
__all__ = [
    "Accepted",
    "AttemptResult",
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
    "SegmentResult",
    "SegmentStarted",
    "Settings",
    "Stage",
    "StageStarted",
    "StepReuse",
    "StepWork",
    "Summary",
    "VideoChunk",
    "VideoCodec",
    "VideoContainer",
]


class Stage(enum.StrEnum):
    """Stages of a job, in order."""

    UNKNOWN = "unknown"
    MATCH = "match"
    ENCODE_TEXT = "encode_text"
    ENCODE_IMAGE = "encode_image"
    DENOISE = "denoise"
    DECODE = "decode"


class Expert(enum.StrEnum):
    """Transformers of a model; ``SINGLE``: the only transformer of a model without experts."""

    UNKNOWN = "unknown"
    HIGH_NOISE = "high_noise"
    LOW_NOISE = "low_noise"
    SINGLE = "single"


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings of a job with defaults filled in.

    ``frame_rate`` is in frames per second. ``guidance_scale_low_noise`` is None for models with one transformer.
    ``crop`` is the part of the picture that is used, ``picture_fit`` says how it was chosen. ``step_reuse`` is ``OFF``
    where the model does not support it, and ``UNKNOWN`` from older servers, which compute every step. ``segments`` are
    those of a chain, empty for a clip of one segment; seed and guidance scales are those of the first one.
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
    step_reuse: StepReuse = StepReuse.UNKNOWN
    segments: tuple[SegmentSettings, ...] = ()


@dataclass(frozen=True, slots=True)
class Estimate:
    """Estimated seconds of work and of waiting before it, and planned peak memory of the device. None: unknown."""

    work_seconds: float | None = None
    wait_seconds: float | None = None
    peak_memory_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Accepted:
    """The first event: the request is valid and its job has a place in the queue.

    ``warnings`` suggest changes of the request. ``attempts`` are those of the request with defaults filled in; None:
    the clip is made once.
    """

    attempt: ClassVar[int] = 0
    segment: ClassVar[int] = 0
    request_id: str
    settings: Settings
    warnings: tuple[str, ...]
    estimate: Estimate = Estimate()
    attempts: Attempts | None = None


@dataclass(frozen=True, slots=True)
class QueueUpdate:
    """The job's position in the queue: the number of jobs ahead, the running one included; 0: this job runs next.

    Callers take turns, so the position can grow when a caller with fewer queued jobs arrives. ``wait_seconds`` None:
    unknown.
    """

    attempt: ClassVar[int] = 0
    segment: ClassVar[int] = 0
    position: int
    wait_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class StageStarted:
    """A stage of the job begins."""

    stage: Stage
    attempt: int = field(default=0, compare=False)
    segment: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Preview:
    """A small JPEG file of the clip's middle frame at the current step."""

    data: bytes
    width_px: int
    height_px: int


@dataclass(frozen=True, slots=True)
class DenoiseProgress:
    """A denoising step was completed. ``completed_step_count`` runs from 1 to ``step_count``.

    ``work`` is ``UNKNOWN`` from older servers, which compute every step.
    """

    completed_step_count: int
    step_count: int
    expert: Expert
    step_seconds: float
    preview: Preview | None
    attempt: int = field(default=0, compare=False)
    work: StepWork = StepWork.UNKNOWN
    segment: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame of the clip; frames of an attempt arrive in order from index 0.

    ``data`` is encoded as ``encoding`` says.
    """

    index: int
    encoding: FrameEncoding
    data: bytes
    width_px: int
    height_px: int
    attempt: int = field(default=0, compare=False)
    segment: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class VideoChunk:
    """The next part of the clip's video file; it follows the frames that it holds.

    Chunks of an attempt arrive in order from index 0; each attempt has a file of its own. The file is the ``data`` of
    all its chunks, one after the other, and is playable from the first chunk on. ``frame_count`` is the number of
    frames in this chunk. ``media_type``, in the first chunk only, is the file's type with its codec, for example
    ``video/mp4; codecs="avc1.64001e"``.
    """

    index: int
    data: bytes
    frame_count: int
    media_type: str = ""
    attempt: int = field(default=0, compare=False)
    segment: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class FrameMatch:
    """Match score, 0 to 100, of one frame and the prompt."""

    frame_index: int
    score: float


@dataclass(frozen=True, slots=True)
class Summary:
    """The last event: the clip is complete, or a chain ended early (``chain_stop``).

    Digests are SHA-256 in hexadecimal. ``work_seconds`` and ``first_frame_seconds`` count from the start of the work,
    without the queue. ``first_frame_psnr_db`` compares the first frame with the prepared picture, in decibels. If the
    match was not scored, ``match_report`` is None and ``frame_matches`` is empty. ``diagnosis`` lists faults of the
    clip and remedies. ``step_counts`` is the number of denoising steps by what was computed in them; empty from older
    servers.

    ``success`` judges the finished clip; None: the bundle cannot. ``attempts`` is empty if the request allows one.
    Everything but ``work_seconds`` is of the delivered attempt: the accepted one, or the one with the highest
    probability of success.

    ``segments`` are the complete segments of a chain, ``chain_drift`` and ``chain_stop`` None for a clip of one
    segment. Of a chain, ``match_report`` is that of the first segment, ``success`` the lowest of its segments,
    ``diagnosis`` that of the whole chain, ``settings`` those of the whole chain also where it ended early.
    """

    attempt: ClassVar[int] = 0
    segment: ClassVar[int] = 0
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
    success: SuccessEstimate | None = None
    attempts: tuple[AttemptResult, ...] = ()
    delivered_attempt: int = 1
    attempts_end: AttemptsEnd | None = None
    step_counts: Mapping[StepWork, int] = field(default_factory=dict)
    segments: tuple[SegmentResult, ...] = ()
    chain_drift: ChainDrift | None = None
    chain_stop: ChainStop | None = None

    @property
    def frame_count(self) -> int:
        """Number of frames of the clip; fewer than ``settings.frame_count`` where a chain ended early."""
        return sum(item.frame_count for item in self.segments) if self.segments else self.settings.frame_count


Event = (
    Accepted
    | QueueUpdate
    | StageStarted
    | MatchReport
    | DenoiseProgress
    | Frame
    | VideoChunk
    | SegmentStarted
    | SegmentResult
    | AttemptResult
    | Summary
)
