"""Checks a picture and a prompt that are to be scored, by the same rules as those of a job."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from engine.api.capabilities import Capabilities, Geometry
from engine.api.errors import InvalidJob, Violation
from engine.api.fields import Field
from engine.api.job import ClipPlan, Settings
from engine.api.media import Image
from engine.media.picture import DecodedPicture, decode_picture
from engine.preparation.clip_length import frame_rate_of
from engine.preparation.geometry import resolve_geometry, segment_lengths
from engine.preparation.rules import check_guidance, check_length, check_prompt, check_video


@dataclass(frozen=True, slots=True)
class ClipSettings:
    """Settings of a clip that prompt report and chance of success depend on, resolved."""

    geometry: Geometry
    frame_rate: float
    guidance_scale: float
    negative_prompt: str
    step_count: int

    @property
    def seconds(self) -> float:
        """Length of the clip in seconds."""
        return self.geometry.frame_count / self.frame_rate


def clip_settings_of(settings: Settings) -> ClipSettings:
    """The part of a job's settings that prompt report and chance of success depend on."""
    return ClipSettings(
        settings.geometry,
        settings.frame_rate,
        settings.guidance_scale,
        settings.negative_prompt,
        settings.step_count,
    )


def prepare_score_request(
    image: Image, prompt: str, plan: ClipPlan, capabilities: Capabilities
) -> tuple[DecodedPicture, ClipSettings]:
    """The picture, and the settings of the clip that it is meant for; of a chain, those of its first segment.

    Raises ``InvalidJob`` with all wrong fields at once, or ``NotCompiled``.
    """
    violations = [*check_prompt(prompt, capabilities), *_check_plan(plan, capabilities)]
    try:
        picture = decode_picture(image, capabilities.limits)
    except InvalidJob as error:
        raise InvalidJob(*violations, *error.violations) from error
    if violations:
        raise InvalidJob(*violations)
    defaults = capabilities.defaults
    geometry = resolve_geometry(plan.video, picture.upright, capabilities)
    return picture, ClipSettings(
        geometry=replace(geometry, frame_count=segment_lengths(geometry, capabilities)[0]),
        frame_rate=frame_rate_of(plan.video, capabilities),
        guidance_scale=defaults.guidance_scale if plan.guidance_scale is None else plan.guidance_scale,
        negative_prompt=defaults.negative_prompt if plan.negative_prompt is None else plan.negative_prompt,
        step_count=defaults.step_count,
    )


def _check_plan(plan: ClipPlan, capabilities: Capabilities) -> Iterator[Violation]:
    yield from check_length(Field.NEGATIVE_PROMPT, plan.negative_prompt or "", capabilities)
    yield from check_video(plan.video, capabilities)
    yield from check_guidance(Field.GUIDANCE_SCALE, plan.guidance_scale)
