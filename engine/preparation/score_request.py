"""Checks a picture and a prompt that are to be scored, by the same rules as those of a job."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from engine.api.capabilities import Capabilities, Geometry
from engine.api.errors import InvalidJob, Violation
from engine.api.fields import Field
from engine.api.job import ClipPlan, Settings
from engine.api.media import Image
from engine.media.picture import DecodedPicture, decode_picture
from engine.preparation.geometry import resolve_geometry
from engine.preparation.rules import MAX_GUIDANCE_SCALE, check_length, check_prompt, check_range, check_video


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
    """The picture, and the settings of the clip that it is meant for.

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
    return picture, ClipSettings(
        geometry=resolve_geometry(plan.video, picture.upright, capabilities),
        frame_rate=defaults.frame_rate if plan.video.frame_rate is None else plan.video.frame_rate,
        guidance_scale=defaults.guidance_scale if plan.guidance_scale is None else plan.guidance_scale,
        negative_prompt=defaults.negative_prompt if plan.negative_prompt is None else plan.negative_prompt,
        step_count=defaults.step_count,
    )


def _check_plan(plan: ClipPlan, capabilities: Capabilities) -> Iterator[Violation]:
    yield from check_length(Field.NEGATIVE_PROMPT, plan.negative_prompt or "", capabilities)
    yield from check_video(plan.video)
    if plan.guidance_scale is not None:
        yield from check_range(Field.GUIDANCE_SCALE, plan.guidance_scale, 1.0, MAX_GUIDANCE_SCALE)
