"""The engine's words: jobs that go in, events that come out. Plain frozen data.

Field names equal the field paths of the public contract, so that an error about ``video.frame_count`` means the
same thing to a caller as to the engine. Knows no wire format, no runtime and no model.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from engine.api.cancellation import CancelFlag
from engine.api.match_report import (
    ClauseScore,
    CropProposal,
    Grounding,
    MatchBasis,
    MatchReport,
    MatchVerdict,
    SuccessBasis,
    SuccessEstimate,
)
from engine.api.media import Box, FrameEncoding, Image, ImageFormat, PictureReport, Pixels

if TYPE_CHECKING:
    from engine.api.diagnosis import Diagnosis

# What pictures and match reports are made of counts among the engine's words, though it stands in files of its own.
__all__ = [
    "Box",
    "Capabilities",
    "ClauseScore",
    "ClipPlan",
    "CropProposal",
    "Engine",
    "Event",
    "Expert",
    "Family",
    "FrameEncoding",
    "FrameMatch",
    "FrameReady",
    "Geometry",
    "Grounding",
    "Image",
    "ImageFormat",
    "Job",
    "JobDone",
    "Limits",
    "MatchBasis",
    "MatchMode",
    "MatchPolicy",
    "MatchReport",
    "MatchVerdict",
    "MemoryPlan",
    "PictureFit",
    "Pixels",
    "PreparedJob",
    "SamplingDefaults",
    "SamplingSpec",
    "Settings",
    "Stage",
    "StageMemory",
    "StageStarted",
    "StepDone",
    "SuccessBasis",
    "SuccessEstimate",
    "VideoSpec",
]


class Family(enum.Enum):
    """Shapes of model that can be served."""

    WAN22_I2V_A14B = "wan22-i2v-a14b"
    WAN22_TI2V_5B = "wan22-ti2v-5b"


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


class MatchMode(enum.Enum):
    """What to do with the match of picture and sentence."""

    OFF = "off"
    REPORT = "report"
    REQUIRE = "require"


class PictureFit(enum.Enum):
    """How a picture is brought to a clip's aspect; it is never stretched."""

    CROP_SUBJECT = "crop_subject"
    CROP_CENTER = "crop_center"
    PAD = "pad"
    REFUSE = "refuse"


@dataclass(frozen=True, slots=True)
class VideoSpec:
    """Size and length; 0 and None take the bundle's defaults (picture fit: ``CROP_CENTER``)."""

    width_px: int = 0
    height_px: int = 0
    frame_count: int = 0
    frame_rate: float | None = None
    picture_fit: PictureFit | None = None


@dataclass(frozen=True, slots=True)
class SamplingSpec:
    """How the clip is sampled; None takes the bundle's default (seed: drawn at random)."""

    step_count: int | None = None
    guidance_scale: float | None = None
    guidance_scale_low_noise: float | None = None
    seed: int | None = None
    shift: float | None = None


@dataclass(frozen=True, slots=True)
class ClipPlan:
    """What a clip of a scored pair would be made with, for the prompt report; None and 0 take the defaults."""

    video: VideoSpec = VideoSpec()
    guidance_scale: float | None = None
    negative_prompt: str | None = None


@dataclass(frozen=True, slots=True)
class MatchPolicy:
    """``mode`` None: report where the bundle holds a scorer, else off. ``minimum_score`` is 0..100."""

    mode: MatchMode | None = None
    minimum_score: float = 0.0


@dataclass(frozen=True, slots=True)
class Job:
    """One clip to generate, as the caller asked for it."""

    image: Image
    prompt: str
    negative_prompt: str | None = None
    video: VideoSpec = VideoSpec()
    sampling: SamplingSpec = SamplingSpec()
    match: MatchPolicy = MatchPolicy()
    preview_every_step_count: int = 0


@dataclass(frozen=True, slots=True)
class Settings:
    """Every setting of a job with the defaults filled in; ``guidance_scale_low_noise`` is None without experts."""

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
    picture_fit: PictureFit


@dataclass(frozen=True, slots=True)
class PreparedJob:
    """A job that passed every check: nothing in it can be refused any more.

    ``picture`` is brought to the clip's size. ``picture_report`` is on the file, None where no match is scored.
    """

    prompt: str
    picture: Pixels
    settings: Settings
    match_mode: MatchMode
    minimum_score: float
    preview_every_step_count: int
    warnings: tuple[str, ...] = ()
    picture_report: PictureReport | None = None


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


@dataclass(frozen=True, slots=True)
class Geometry:
    """A size and length that was compiled. ``frame_count`` is 4n + 1."""

    width_px: int
    height_px: int
    frame_count: int


@dataclass(frozen=True, slots=True)
class SamplingDefaults:
    """Values that unset sampling fields take."""

    step_count: int
    guidance_scale: float
    guidance_scale_low_noise: float | None
    shift: float
    frame_rate: float
    negative_prompt: str


@dataclass(frozen=True, slots=True)
class Limits:
    """What a job may hold."""

    max_image_bytes: int = 8 * 1024 * 1024
    max_image_pixel_count: int = 50_000_000
    max_step_count: int = 100
    max_prompt_character_count: int = 2_000


@dataclass(frozen=True, slots=True)
class StageMemory:
    """What memory holds in one stage of a job; graphs by their stage's name in the manifest.

    ``resident`` are all graphs in memory, with those that are ``loaded`` as the stage begins because they were not
    there yet, and those of the next stage that are ``prefetched`` while this one works. ``scratch_bytes`` is what calls
    need for themselves, ``buffer_bytes`` what is bound to them.
    """

    stage: Stage
    expert: Expert | None
    resident: tuple[str, ...]
    loaded: tuple[str, ...]
    prefetched: tuple[str, ...]
    weight_bytes: int
    scratch_bytes: int
    buffer_bytes: int

    @property
    def peak_bytes(self) -> int:
        """All of it."""
        return self.weight_bytes + self.scratch_bytes + self.buffer_bytes


@dataclass(frozen=True, slots=True)
class MemoryPlan:
    """The stages of a job of one geometry, in order."""

    geometry: Geometry
    stages: tuple[StageMemory, ...]

    @property
    def peak_bytes(self) -> int:
        """The most that any stage holds."""
        return max(stage.peak_bytes for stage in self.stages)

    @property
    def swapped(self) -> tuple[str, ...]:
        """Graphs that are loaded in every job, because they cannot stay."""
        return tuple(name for stage in self.stages for name in (*stage.loaded, *stage.prefetched))


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What an engine has loaded. Digests are SHA-256 in hexadecimal.

    ``memory_budget_bytes`` None means that no limit is kept; ``memory_plans`` has one plan for each geometry.
    """

    model_name: str
    family: Family
    bundle_digest: str
    checkpoint_digest: str
    runtime: str
    license: str
    geometries: tuple[Geometry, ...]
    defaults: SamplingDefaults
    limits: Limits
    match_supported: bool
    notices: tuple[str, ...] = field(default=())
    memory_budget_bytes: int | None = None
    memory_plans: tuple[MemoryPlan, ...] = ()


class Engine(Protocol):
    """All that a server knows of an engine.

    ``prepare``, ``score_match`` and ``capabilities`` may be called from any thread at any time. ``generate`` is
    called by one thread at a time; its iterator is driven and closed by that thread.
    """

    def capabilities(self) -> Capabilities:
        """What is loaded; the same answer for the engine's whole life."""
        ...

    def prepare(self, job: Job) -> PreparedJob:
        """Checks a job, fills in its defaults and prepares its picture.

        Needs nothing but the job and ``capabilities``, so that it can be done in another process than ``generate``; for
        ``CROP_SUBJECT`` alone it asks ``score_match``. Raises ``InvalidJob``, ``NotCompiled`` or ``ScorerMissing``.
        """
        ...

    def generate(self, job: PreparedJob, cancel: CancelFlag) -> Iterator[Event]:
        """Generates a clip, event by event; the last one is ``JobDone``.

        Raises ``Cancelled`` before the next graph call once ``cancel`` is set, ``MatchRefused``, ``OutOfMemory``
        or ``GraphFailed``; an engine in a process of its own ``EngineLost`` or ``EngineRestarting`` too. Closing the
        iterator early leaves the engine ready for the next job.
        """
        ...

    def score_match(self, image: Image, prompt: str, plan: ClipPlan = ClipPlan()) -> MatchReport:
        """Scores a picture against a sentence, and reports on both and on ``plan``.

        Raises ``InvalidJob``, ``NotCompiled`` or ``ScorerMissing``.
        """
        ...

    def close(self) -> None:
        """Gives back memory and threads. The engine cannot be used afterwards."""
        ...
