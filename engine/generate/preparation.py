"""A job as the caller wrote it becomes a job that can run. Knows the rules of every field; knows no graph."""

from __future__ import annotations

import html
import math
import secrets
from collections.abc import Callable, Iterator
from typing import TypeVar

from PIL import Image as Pillow

from engine.analysis.picture.report import report_decoded
from engine.api.errors import InvalidJob, NotCompiled, ScorerMissing, Violation
from engine.api.types import (
    Box,
    Capabilities,
    Geometry,
    Image,
    Job,
    MatchMode,
    MatchReport,
    PictureFit,
    PreparedJob,
    SamplingSpec,
    Settings,
    VideoSpec,
)
from engine.media.picture import center_crop, choose_geometry, decode_picture, fit_picture, pad_picture

ScoreMatch = Callable[[Image, str], MatchReport]

MAX_GUIDANCE_SCALE = 30.0
MIN_SHIFT, MAX_SHIFT = 0.01, 100.0
MAX_FRAME_RATE = 120.0
_T = TypeVar("_T")
_MAX_SEED = 2**63 - 1
# Wan2.2's own guidance is 3.5 to 5.0; from about twice of that on, colours burn and motion stiffens.
_GUIDANCE_WARNING_FACTOR = 2.0
_UPSCALE_WARNING_FACTOR = 1.5


def prepare_job(job: Job, capabilities: Capabilities, score_match: ScoreMatch | None = None) -> PreparedJob:
    """Checks every field, fills in defaults, fits the picture. ``score_match`` is called for ``CROP_SUBJECT`` alone.

    Raises ``InvalidJob`` with all wrong fields at once, ``NotCompiled`` or ``ScorerMissing``.
    """
    violations = [*check_prompt(job.prompt, capabilities), *_check_numbers(job, capabilities)]
    picture: Pillow.Image | None = None
    try:
        picture = decode_picture(job.image, capabilities.limits)
    except InvalidJob as error:
        violations.extend(error.violations)
    if violations or picture is None:
        raise InvalidJob(*violations)
    match_mode = _resolve_match_mode(job.match.mode, capabilities)
    geometry = resolve_geometry(job.video, picture, capabilities)
    fit = job.video.picture_fit or PictureFit.CROP_CENTER
    report: MatchReport | None = None
    if fit is PictureFit.CROP_SUBJECT:
        if score_match is None or not capabilities.match_supported:
            raise ScorerMissing("video.picture_fit", "CROP_CENTER")
        report = score_match(job.image, job.prompt)
    crop, fit_warnings = _resolve_crop(fit, picture, geometry, report)
    settings = _resolve_settings(job, geometry, crop, capabilities)
    return PreparedJob(
        prompt=job.prompt,
        picture=pad_picture(picture, geometry) if fit is PictureFit.PAD else fit_picture(picture, crop, geometry),
        settings=settings,
        match_mode=match_mode,
        minimum_score=job.match.minimum_score,
        preview_every_step_count=job.preview_every_step_count,
        picture_report=None if match_mode is MatchMode.OFF else report_decoded(job.image, picture),
        warnings=(*fit_warnings, *_warnings(settings, crop, capabilities)),
    )


def check_prompt(prompt: str, capabilities: Capabilities) -> Iterator[Violation]:
    """Yields what is wrong with a prompt."""
    if not html.unescape(html.unescape(prompt)).strip():  # as it will be cleaned for the model
        yield Violation("prompt", "is empty; say who is in the picture and what they do")
    yield from check_length("prompt", prompt, capabilities)


def _proposed_crop(report: MatchReport | None, geometry: Geometry) -> Box | None:
    """The part that a match report proposes for clips of a size; None where it does not know where the subject is."""
    if report is None or report.grounding is None or report.grounding.box is None:
        return None
    size = (geometry.width_px, geometry.height_px)
    return next((item.crop for item in report.crops if (item.width_px, item.height_px) == size), None)


def check_length(field: str, text: str, capabilities: Capabilities) -> Iterator[Violation]:
    """Yields a violation where a text is longer than the limit."""
    limit = capabilities.limits.max_prompt_character_count
    if len(text) > limit:
        yield Violation(field, f"has {len(text)} characters, more than the limit of {limit}; shorten it")


def _check_numbers(job: Job, capabilities: Capabilities) -> Iterator[Violation]:
    yield from check_length("negative_prompt", job.negative_prompt or "", capabilities)
    yield from check_video(job.video)
    yield from _check_sampling(job.sampling, capabilities)
    yield from check_range("match.minimum_score", job.match.minimum_score, 0.0, 100.0)
    if job.preview_every_step_count < 0:
        yield Violation("stream.preview_every_step_count", "is negative; send 0 for no previews")


def check_video(video: VideoSpec) -> Iterator[Violation]:
    """Yields what is wrong with a size and length, whatever is compiled."""
    if video.width_px < 0 or video.height_px < 0 or (video.width_px == 0) != (video.height_px == 0):
        yield Violation(
            "video.width_px",
            f"is {video.width_px} beside a height of {video.height_px}; send both, or neither to let the "
            "server choose by the picture's aspect",
        )
    if video.frame_count < 0 or (video.frame_count and video.frame_count % 4 != 1):
        nearest = max(round((video.frame_count - 1) / 4) * 4 + 1, 1)
        yield Violation("video.frame_count", f"is {video.frame_count}, not 4n + 1; the nearest is {nearest}")
    if video.frame_rate is not None:
        yield from check_range("video.frame_rate", video.frame_rate, 1.0, MAX_FRAME_RATE)


def _check_sampling(sampling: SamplingSpec, capabilities: Capabilities) -> Iterator[Violation]:
    if sampling.step_count is not None:
        limit = capabilities.limits.max_step_count
        yield from check_range("sampling.step_count", sampling.step_count, 1, limit)
    if sampling.guidance_scale is not None:
        yield from check_range("sampling.guidance_scale", sampling.guidance_scale, 1.0, MAX_GUIDANCE_SCALE)
    if sampling.guidance_scale_low_noise is not None:
        field = "sampling.guidance_scale_low_noise"
        if capabilities.defaults.guidance_scale_low_noise is None:
            yield Violation(field, "is set but this model has one transformer; leave it unset")
        else:
            yield from check_range(field, sampling.guidance_scale_low_noise, 1.0, MAX_GUIDANCE_SCALE)
    if sampling.seed is not None:
        yield from check_range("sampling.seed", sampling.seed, 0, _MAX_SEED)
    if sampling.shift is not None:
        yield from check_range("sampling.shift", sampling.shift, MIN_SHIFT, MAX_SHIFT)


def check_range(field: str, value: float, lowest: float, highest: float) -> Iterator[Violation]:
    """Yields a violation where a number is none, or outside both ends."""
    if not math.isfinite(value):
        yield Violation(field, f"is {value}; send a number from {_short(lowest)} to {_short(highest)}")
    elif not lowest <= value <= highest:
        yield Violation(field, f"is {_short(value)}, outside {_short(lowest)} to {_short(highest)}")


def _short(value: float) -> str:
    """Whole numbers in full, others to six digits."""
    return str(value) if isinstance(value, int) else f"{value:g}"


def _resolve_match_mode(mode: MatchMode | None, capabilities: Capabilities) -> MatchMode:
    if mode is None:
        return MatchMode.REPORT if capabilities.match_supported else MatchMode.OFF
    if mode is not MatchMode.OFF and not capabilities.match_supported:
        raise ScorerMissing
    return mode


def resolve_geometry(video: VideoSpec, picture: Pillow.Image, capabilities: Capabilities) -> Geometry:
    """The compiled size and length that is asked for, or that suits the picture. Raises ``NotCompiled``."""
    frame_count = video.frame_count or capabilities.geometries[0].frame_count
    of_length = [item for item in capabilities.geometries if item.frame_count == frame_count]
    if not of_length:
        lengths = sorted({item.frame_count for item in capabilities.geometries})
        raise NotCompiled(
            Violation("video.frame_count", f"is {frame_count}; this server was compiled for {_list(lengths)} frames")
        )
    if not video.width_px:
        return choose_geometry(picture, of_length)
    for item in of_length:
        if (item.width_px, item.height_px) == (video.width_px, video.height_px):
            return item
    sizes = [f"{item.width_px}x{item.height_px}" for item in of_length]
    raise NotCompiled(
        Violation(
            "video.width_px",
            f"asks for {video.width_px}x{video.height_px}; this server was compiled for "
            f"{_list(sizes)} at {frame_count} frames",
        )
    )


def _resolve_crop(
    fit: PictureFit, picture: Pillow.Image, geometry: Geometry, report: MatchReport | None
) -> tuple[Box, tuple[str, ...]]:
    """The part of the picture to use, and what the caller should know about it."""
    center = center_crop(picture, geometry)
    match fit:
        case PictureFit.CROP_CENTER:
            return center, ()
        case PictureFit.PAD:
            return Box(0, 0, picture.width, picture.height), ()
        case PictureFit.REFUSE:
            if picture.width - center.width_px > 1 or picture.height - center.height_px > 1:
                raise InvalidJob(Violation("image.data", _wrong_aspect(picture, geometry)))
            return center, ()
        case PictureFit.CROP_SUBJECT:
            found = _proposed_crop(report, geometry)
            if found is None:
                return center, ("the subject was not found in the picture, so it is cut from the centre",)
            return found, ()


def _wrong_aspect(picture: Pillow.Image, geometry: Geometry) -> str:
    return (
        f"is {picture.width}x{picture.height} pixels, not of the aspect of {geometry.width_px}x{geometry.height_px}; "
        "crop it, or send another video.picture_fit"
    )


def _resolve_settings(job: Job, geometry: Geometry, crop: Box, capabilities: Capabilities) -> Settings:
    defaults, sampling = capabilities.defaults, job.sampling
    guidance_scale = _default(sampling.guidance_scale, defaults.guidance_scale)
    low_noise = defaults.guidance_scale_low_noise
    if low_noise is not None:  # a caller who gives one scale means both experts, as in Diffusers
        low_noise = _default(sampling.guidance_scale_low_noise, _default(sampling.guidance_scale, low_noise))
    return Settings(
        width_px=geometry.width_px,
        height_px=geometry.height_px,
        frame_count=geometry.frame_count,
        frame_rate=_default(job.video.frame_rate, defaults.frame_rate),
        step_count=_default(sampling.step_count, defaults.step_count),
        guidance_scale=guidance_scale,
        guidance_scale_low_noise=low_noise,
        seed=_default(sampling.seed, secrets.randbits(32)),
        shift=_default(sampling.shift, defaults.shift),
        negative_prompt=_default(job.negative_prompt, defaults.negative_prompt),
        crop=crop,
        picture_fit=job.video.picture_fit or PictureFit.CROP_CENTER,
    )


def _warnings(settings: Settings, crop: Box, capabilities: Capabilities) -> Iterator[str]:
    usual = capabilities.defaults.guidance_scale
    if settings.guidance_scale > max(usual, 3.5) * _GUIDANCE_WARNING_FACTOR:
        yield (
            f"guidance_scale {settings.guidance_scale:g} is far above this model's own {usual:g}: "
            "expect burnt colours and stiff motion"
        )
    scale = settings.width_px / crop.width_px
    if settings.picture_fit is PictureFit.PAD:
        scale = min(scale, settings.height_px / crop.height_px)
    if scale > _UPSCALE_WARNING_FACTOR:
        yield (
            f"the picture gives only {crop.width_px}x{crop.height_px} pixels for a clip of "
            f"{settings.width_px}x{settings.height_px}: expect a soft clip, send a larger picture"
        )


def _default(value: _T | None, otherwise: _T) -> _T:
    return otherwise if value is None else value


def _list(items: list[int] | list[str]) -> str:
    return ", ".join(str(item) for item in items)
