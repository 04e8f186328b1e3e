"""A picture and a sentence that are only to be scored: their fields are checked as those of a job are.

Knows the rules of the fields and the bundle's defaults; knows no scorer.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from PIL import Image as Pillow

from engine.api.errors import InvalidJob, Violation
from engine.api.types import Capabilities, ClipPlan, Geometry, Image
from engine.generate.preparation import (
    MAX_GUIDANCE_SCALE,
    check_length,
    check_prompt,
    check_range,
    check_video,
    resolve_geometry,
)
from engine.media.picture import decode_picture


@dataclass(frozen=True, slots=True)
class PlannedClip:
    """What the prompt report judges beside the sentence: settings with the defaults filled in."""

    geometry: Geometry
    frame_rate: float
    guidance_scale: float
    negative_prompt: str

    @property
    def seconds(self) -> float:
        """Length of the clip."""
        return self.geometry.frame_count / self.frame_rate


def prepare_query(
    image: Image, prompt: str, plan: ClipPlan, capabilities: Capabilities
) -> tuple[Pillow.Image, PlannedClip]:
    """The upright picture, and the clip that is planned of it.

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
    return picture, PlannedClip(
        geometry=resolve_geometry(plan.video, picture, capabilities),
        frame_rate=defaults.frame_rate if plan.video.frame_rate is None else plan.video.frame_rate,
        guidance_scale=defaults.guidance_scale if plan.guidance_scale is None else plan.guidance_scale,
        negative_prompt=defaults.negative_prompt if plan.negative_prompt is None else plan.negative_prompt,
    )


def _check_plan(plan: ClipPlan, capabilities: Capabilities) -> Iterator[Violation]:
    yield from check_length("negative_prompt", plan.negative_prompt or "", capabilities)
    yield from check_video(plan.video)
    if plan.guidance_scale is not None:
        yield from check_range("sampling.guidance_scale", plan.guidance_scale, 1.0, MAX_GUIDANCE_SCALE)
