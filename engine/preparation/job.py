"""Turns a job as the caller asks for it into a ``PreparedJob``: checked, with every setting resolved. Runs no graph."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import TypeVar

from engine.analysis.picture.report import report_picture
from engine.api.capabilities import Capabilities, Geometry
from engine.api.errors import InvalidJob, ScorerMissing
from engine.api.fields import Field
from engine.api.job import Job, MatchMode, PictureFit, PreparedJob, Settings
from engine.api.match_report import MatchReport
from engine.api.media import Box, Image
from engine.media.picture import DecodedPicture, decode_picture
from engine.preparation.clip_length import frame_rate_of
from engine.preparation.fitted_picture import fit_to_clip
from engine.preparation.reuse import resolve_reuse
from engine.preparation.rules import check_job
from engine.preparation.segment_plan import PlannedSegment, plan_segments, prepared_segments
from engine.preparation.segment_rules import check_segments

ScoreMatch = Callable[[Image, str], MatchReport]

_T = TypeVar("_T")
# Wan2.2's own guidance is 3.5 to 5.0; from about twice of that on, colours burn and motion stiffens.
_GUIDANCE_WARNING_FACTOR = 2.0
_UPSCALE_WARNING_FACTOR = 1.5


def prepare_job(job: Job, capabilities: Capabilities, score_match: ScoreMatch | None = None) -> PreparedJob:
    """Checks every field, fills in defaults, divides a long clip into segments, fits the picture.

    Calls ``score_match`` for ``CROP_SUBJECT`` only, with the sentence of the first segment. Raises ``InvalidJob`` with
    all wrong fields at once, ``NotCompiled`` or ``ScorerMissing``.
    """
    decoded = _checked_picture(job, capabilities)
    picture = decoded.upright
    match_mode = _resolve_match_mode(job.match.mode, capabilities)
    plan = plan_segments(job, picture, capabilities)
    fit = job.video.picture_fit or PictureFit.CROP_CENTER
    report: MatchReport | None = None
    if fit is PictureFit.CROP_SUBJECT:
        if score_match is None or not capabilities.match_supported:
            raise ScorerMissing(Field.PICTURE_FIT)
        report = score_match(job.image, plan.segments[0].prompt)
    fitted = fit_to_clip(picture, fit, plan.geometry, report)
    own = [_resolve_settings(job, segment, plan.geometry, fitted.crop, capabilities) for segment in plan.segments]
    settings = replace(own[0], frame_count=plan.geometry.frame_count)
    return PreparedJob(
        prompt=plan.prompt,
        picture=fitted.pixels,
        settings=settings,
        match_mode=match_mode,
        minimum_score=job.match.minimum_score,
        preview_every_step_count=job.preview_every_step_count,
        picture_report=None if match_mode is MatchMode.OFF else report_picture(decoded),
        warnings=(*fitted.warnings, *_warnings(job, own, fitted.crop, capabilities), *plan.warnings),
        segments=prepared_segments(plan, own, capabilities.given_frame_count) if len(own) > 1 else (),
    )


def _checked_picture(job: Job, capabilities: Capabilities) -> DecodedPicture:
    """The decoded picture of a job without a wrong field. Raises ``InvalidJob``."""
    violations = [*check_job(job, capabilities), *check_segments(job, capabilities)]
    try:
        picture = decode_picture(job.image, capabilities.limits)
    except InvalidJob as error:
        raise InvalidJob(*violations, *error.violations) from error
    if violations:
        raise InvalidJob(*violations)
    return picture


def _resolve_match_mode(mode: MatchMode | None, capabilities: Capabilities) -> MatchMode:
    if mode is None:
        return MatchMode.REPORT if capabilities.match_supported else MatchMode.OFF
    if mode is not MatchMode.OFF and not capabilities.match_supported:
        raise ScorerMissing(Field.MATCH_MODE)
    return mode


def _resolve_settings(
    job: Job, segment: PlannedSegment, geometry: Geometry, crop: Box, capabilities: Capabilities
) -> Settings:
    defaults, sampling = capabilities.defaults, segment.sampling
    guidance_scale = _default(sampling.guidance_scale, defaults.guidance_scale)
    low_noise = defaults.guidance_scale_low_noise
    if low_noise is not None:  # a caller who gives one scale means both experts, as in Diffusers
        low_noise = _default(sampling.guidance_scale_low_noise, _default(sampling.guidance_scale, low_noise))
    step_count = _default(sampling.step_count, defaults.step_count)
    return Settings(
        width_px=geometry.width_px,
        height_px=geometry.height_px,
        frame_count=segment.frame_count,
        frame_rate=frame_rate_of(job.video, capabilities),
        step_count=step_count,
        guidance_scale=guidance_scale,
        guidance_scale_low_noise=low_noise,
        seed=segment.seed,
        shift=_default(sampling.shift, defaults.shift),
        negative_prompt=_default(job.negative_prompt, defaults.negative_prompt),
        crop=crop,
        picture_fit=job.video.picture_fit or PictureFit.CROP_CENTER,
        reuse=resolve_reuse(sampling.reuse, step_count, capabilities)[0],
    )


def _warnings(job: Job, parts: Sequence[Settings], crop: Box, capabilities: Capabilities) -> Iterator[str]:
    """Warnings that hold for the whole clip; ``parts`` are the settings of its segments."""
    settings = parts[0]
    _, reuse_warning = resolve_reuse(job.sampling.reuse, settings.step_count, capabilities)
    if reuse_warning is not None:
        yield reuse_warning
    usual = capabilities.defaults.guidance_scale
    guidance_scale = max(part.guidance_scale for part in parts)
    if guidance_scale > max(usual, 3.5) * _GUIDANCE_WARNING_FACTOR:
        yield (
            f"guidance_scale {guidance_scale:g} is far above this model's own {usual:g}: "
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
