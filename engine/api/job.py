"""A job as the caller asks for it (``Job``) and as it runs (``PreparedJob``, with every setting resolved)."""

from __future__ import annotations

import enum
from dataclasses import dataclass, replace

from engine.api.capabilities import Geometry
from engine.api.chain import SegmentSpec
from engine.api.events import SegmentDone
from engine.api.media import Box, Image, Pixels
from engine.api.picture_report import PictureReport
from engine.api.reuse import StepReuse

MAX_SEED = 2**63 - 1


class MatchMode(enum.Enum):
    """OFF: no score. REPORT: score and generate. REQUIRE: refuse the job if the score is below the minimum."""

    OFF = "off"
    REPORT = "report"
    REQUIRE = "require"


class PictureFit(enum.Enum):
    """Ways to bring a picture to the aspect of the clip. A picture is never stretched."""

    CROP_SUBJECT = "crop_subject"
    CROP_CENTER = "crop_center"
    PAD = "pad"
    REFUSE = "refuse"


@dataclass(frozen=True, slots=True)
class VideoSpec:
    """Size and length of a clip. 0 and None take the bundle's defaults (picture fit: ``CROP_CENTER``).

    ``seconds`` stands for the frame count nearest to it. A length above the longest compiled one asks for a chain.
    """

    width_px: int = 0
    height_px: int = 0
    frame_count: int = 0
    frame_rate: float | None = None
    picture_fit: PictureFit | None = None
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class SamplingSpec:
    """Settings of the sampler. None takes the bundle's default (seed: drawn at random; reuse: the server's default)."""

    step_count: int | None = None
    guidance_scale: float | None = None
    guidance_scale_low_noise: float | None = None
    seed: int | None = None
    shift: float | None = None
    reuse: StepReuse | None = None


@dataclass(frozen=True, slots=True)
class ClipPlan:
    """Settings of the clip that a scored pair is meant for; the prompt report judges them. None and 0: defaults."""

    video: VideoSpec = VideoSpec()
    guidance_scale: float | None = None
    negative_prompt: str | None = None


@dataclass(frozen=True, slots=True)
class MatchPolicy:
    """``mode`` None means ``REPORT`` if the bundle holds a scorer, else ``OFF``. ``minimum_score`` is 0..100."""

    mode: MatchMode | None = None
    minimum_score: float = 0.0


@dataclass(frozen=True, slots=True)
class Job:
    """One clip to generate, as the caller asks for it. Nothing is checked yet.

    ``segments`` hold the sentences of a chain, and then ``prompt`` is empty. Without segments, a clip longer than the
    longest compiled length is divided by the stages of its sentence.
    """

    image: Image
    prompt: str
    negative_prompt: str | None = None
    video: VideoSpec = VideoSpec()
    sampling: SamplingSpec = SamplingSpec()
    match: MatchPolicy = MatchPolicy()
    preview_every_step_count: int = 0
    segments: tuple[SegmentSpec, ...] = ()


@dataclass(frozen=True, slots=True)
class Settings:
    """Every setting of a job, resolved. ``guidance_scale_low_noise`` is None for a model with one transformer.

    Those of a chain have the length of the whole clip, and seed and guidance of its first segment.
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
    picture_fit: PictureFit
    reuse: StepReuse = StepReuse.OFF

    @property
    def geometry(self) -> Geometry:
        """Size and length of the clip."""
        return Geometry(self.width_px, self.height_px, self.frame_count)


@dataclass(frozen=True, slots=True)
class PreparedSegment:
    """A segment of a prepared chain. The frame count of ``settings`` is a compiled length.

    Of its frames the first ``given_frame_count`` repeat the segment before, and the next ``new_frame_count`` belong to
    the clip, from ``first_frame_index`` on. Frames after these are not made: the chain needs no more.
    """

    prompt: str
    settings: Settings
    first_frame_index: int
    new_frame_count: int
    given_frame_count: int = 0


@dataclass(frozen=True, slots=True)
class PreparedJob:
    """A job that passed every check of ``Engine.prepare``.

    ``picture`` has the size of the clip. ``picture_report`` describes the picture file; None if no match is scored.
    ``segments`` are those of a chain, at least two; none for a clip of one segment, whose prompt and settings are the
    job's own. ``begins_after``: the segments that another run of the job completed, which are not made again;
    the others have the same events as without it.
    """

    prompt: str
    picture: Pixels
    settings: Settings
    match_mode: MatchMode
    minimum_score: float
    preview_every_step_count: int
    warnings: tuple[str, ...] = ()
    picture_report: PictureReport | None = None
    segments: tuple[PreparedSegment, ...] = ()
    begins_after: tuple[SegmentDone, ...] = ()

    @property
    def clip_settings(self) -> tuple[Settings, ...]:
        """Settings of each clip of a compiled length that the job makes: of its segments, or its own."""
        return tuple(segment.settings for segment in self.segments) or (self.settings,)

    def attempt(self, number: int) -> PreparedJob:
        """The same job with the seeds of its ``number``-th attempt, from 1: each seed + number - 1.

        Raises ``ValueError`` where that is above ``MAX_SEED``.
        """
        segments = tuple(replace(item, settings=_reseeded(item.settings, number)) for item in self.segments)
        return replace(self, settings=_reseeded(self.settings, number), segments=segments)


def _reseeded(settings: Settings, attempt_number: int) -> Settings:
    seed = settings.seed + attempt_number - 1
    if seed > MAX_SEED:
        raise ValueError(f"attempt {attempt_number} has the seed {seed}, above {MAX_SEED}; begin with a smaller seed")
    return replace(settings, seed=seed)
