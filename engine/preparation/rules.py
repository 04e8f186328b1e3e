"""The rules of every field of a job. Each check yields a ``Violation`` for each value that is wrong."""

from __future__ import annotations

import math
from collections.abc import Iterator

from engine.analysis.prompt.given_text import clean_prompt
from engine.api.capabilities import Capabilities
from engine.api.errors import Violation
from engine.api.fields import Field
from engine.api.job import MAX_SEED, Job, SamplingSpec, VideoSpec
from engine.preparation.clip_length import check_clip_length

MAX_GUIDANCE_SCALE = 30.0
MIN_SHIFT, MAX_SHIFT = 0.01, 100.0
MAX_FRAME_RATE = 120.0


def check_job(job: Job, capabilities: Capabilities) -> Iterator[Violation]:
    """Checks every field of a job but its picture and its segments."""
    if not job.segments:
        yield from check_prompt(job.prompt, capabilities)
    elif clean_prompt(job.prompt):
        yield Violation(Field.PROMPT, "is set beside segments, which hold the sentences; leave it empty")
    yield from check_length(Field.NEGATIVE_PROMPT, job.negative_prompt or "", capabilities)
    yield from check_video(job.video, capabilities)
    yield from _check_sampling(job.sampling, capabilities)
    yield from check_range(Field.MINIMUM_SCORE, job.match.minimum_score, 0.0, 100.0)
    if job.preview_every_step_count < 0:
        yield Violation(Field.PREVIEW_INTERVAL, "is negative; send 0 for no previews")


def check_prompt(prompt: str, capabilities: Capabilities, field: Field = Field.PROMPT) -> Iterator[Violation]:
    """A prompt must not be empty once it is cleaned for the text encoder, nor longer than the limit."""
    if not clean_prompt(prompt):
        yield Violation(field, "is empty; name the subject of the picture and what it does")
    yield from check_length(field, prompt, capabilities)


def check_length(field: Field, text: str, capabilities: Capabilities) -> Iterator[Violation]:
    """A text must not have more characters than the limit."""
    limit = capabilities.limits.max_prompt_character_count
    if len(text) > limit:
        yield Violation(field, f"has {len(text)} characters, more than the limit of {limit}; shorten it")


def check_video(video: VideoSpec, capabilities: Capabilities) -> Iterator[Violation]:
    """Width and height come together, length and frame rate are in range. Ignores what is compiled."""
    if video.width_px < 0 or video.height_px < 0 or (video.width_px == 0) != (video.height_px == 0):
        yield Violation(
            Field.WIDTH,
            f"is {video.width_px} beside a height of {video.height_px}; send both, or neither to let the "
            "server choose by the picture's aspect",
        )
    yield from check_clip_length(video, capabilities)
    if video.frame_rate is not None:
        yield from check_range(Field.FRAME_RATE, video.frame_rate, 1.0, MAX_FRAME_RATE)


def check_range(field: Field, value: float, lowest: float, highest: float) -> Iterator[Violation]:
    """A number must be finite and lie between both ends, which are allowed."""
    if not math.isfinite(value):
        yield Violation(field, f"is {value}; send a number from {_short(lowest)} to {_short(highest)}")
    elif not lowest <= value <= highest:
        yield Violation(field, f"is {_short(value)}, outside {_short(lowest)} to {_short(highest)}")


def check_guidance(field: Field, scale: float | None) -> Iterator[Violation]:
    """A guidance scale, if there is one, must be in range."""
    if scale is not None:
        yield from check_range(field, scale, 1.0, MAX_GUIDANCE_SCALE)


def check_low_noise_guidance(field: Field, scale: float | None, capabilities: Capabilities) -> Iterator[Violation]:
    """A guidance scale of the low-noise expert must be in range, and unset for a model with one transformer."""
    if scale is not None and capabilities.defaults.guidance_scale_low_noise is None:
        yield Violation(field, "is set but this model has one transformer; leave it unset")
    else:
        yield from check_guidance(field, scale)


def _check_sampling(sampling: SamplingSpec, capabilities: Capabilities) -> Iterator[Violation]:
    if sampling.step_count is not None:
        yield from check_range(Field.STEP_COUNT, sampling.step_count, 1, capabilities.limits.max_step_count)
    yield from check_guidance(Field.GUIDANCE_SCALE, sampling.guidance_scale)
    low_noise = sampling.guidance_scale_low_noise
    yield from check_low_noise_guidance(Field.GUIDANCE_SCALE_LOW_NOISE, low_noise, capabilities)
    if sampling.seed is not None:
        yield from check_range(Field.SEED, sampling.seed, 0, MAX_SEED)
    if sampling.shift is not None:
        yield from check_range(Field.SHIFT, sampling.shift, MIN_SHIFT, MAX_SHIFT)


def _short(value: float) -> str:
    """Whole numbers in full, others to six digits."""
    return str(value) if isinstance(value, int) else f"{value:g}"
