"""Validation of a job's fields: error, field name and advice for bad values, defaults for unset ones."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from engine.api.capabilities import Capabilities
from engine.api.errors import ScorerMissing
from engine.api.fields import Field
from engine.api.job import Job, MatchMode, MatchPolicy, PictureFit, SamplingSpec, Settings, VideoSpec
from engine.api.media import Box, Image, ImageFormat
from engine.api.reuse import StepReuse
from engine.preparation.job import prepare_job
from tests.preparing import ONE_TRANSFORMER, TWO_EXPERTS, WITHOUT_SCORER, prepare, refusals


@pytest.fixture
def job(png: Callable[..., bytes]) -> Job:
    return Job(Image(png(64, 64)), "a cat jumps")


def test_what_a_job_leaves_open_is_filled_in(job: Job) -> None:
    prepared = prepare(job, seed=11)
    assert prepared.settings == Settings(
        width_px=32,
        height_px=32,
        frame_count=9,
        frame_rate=8.0,
        step_count=4,
        guidance_scale=3.5,
        guidance_scale_low_noise=3.0,
        seed=11,
        shift=5.0,
        negative_prompt="blurred",
        crop=Box(0, 0, 64, 64),
        picture_fit=PictureFit.CROP_CENTER,
    )
    assert prepared.match_mode is MatchMode.REPORT
    assert prepared.picture.shape == (32, 32, 3)
    assert prepared.warnings == ()


def test_what_a_job_says_is_kept(job: Job, png: Callable[..., bytes]) -> None:
    spoken = replace(
        job,
        image=Image(png(100, 40), ImageFormat.PNG),
        negative_prompt="",
        video=VideoSpec(32, 32, 17, frame_rate=24.0),
        sampling=SamplingSpec(7, 2.0, 4.0, 2**63 - 1, 3.0),
        match=MatchPolicy(MatchMode.REQUIRE, 55.0),
        preview_every_step_count=3,
    )
    prepared = prepare_job(spoken, TWO_EXPERTS)
    assert prepared.settings == Settings(
        32, 32, 17, 24.0, 7, 2.0, 4.0, 2**63 - 1, 3.0, "", Box(30, 0, 40, 40), PictureFit.CROP_CENTER
    )
    assert (prepared.match_mode, prepared.minimum_score) == (MatchMode.REQUIRE, 55.0)
    assert prepared.preview_every_step_count == 3


def test_one_guidance_scale_means_both_experts(job: Job) -> None:
    settings = prepare(job, guidance_scale=2.0).settings
    assert (settings.guidance_scale, settings.guidance_scale_low_noise) == (2.0, 2.0)
    settings = prepare(job, guidance_scale_low_noise=2.0).settings
    assert (settings.guidance_scale, settings.guidance_scale_low_noise) == (3.5, 2.0)
    settings = prepare(job, ONE_TRANSFORMER, guidance_scale=2.0).settings
    assert (settings.guidance_scale, settings.guidance_scale_low_noise) == (2.0, None)


@pytest.mark.parametrize("prompt", ["", "   ", "\n\t\u3000"])
def test_an_empty_prompt(job: Job, prompt: str) -> None:
    assert refusals(replace(job, prompt=prompt)) == {
        Field.PROMPT: "is empty; name the subject of the picture and what it does"
    }


@pytest.mark.parametrize("field", ["prompt", "negative_prompt"])
def test_a_prompt_that_is_too_long(job: Job, field: str) -> None:
    longest: Any = {field: "猫" * 2_000}
    prepare_job(replace(job, **longest), TWO_EXPERTS)
    longer: Any = {field: "猫" * 2_001}
    assert refusals(replace(job, **longer)) == {
        Field(field): "has 2001 characters, more than the limit of 2000; shorten it"
    }


_NAN_AND_BEYOND = [math.nan, math.inf, -math.inf]


@pytest.mark.parametrize(
    ("field", "lowest", "highest"),
    [("guidance_scale", 1, 30), ("guidance_scale_low_noise", 1, 30), ("shift", 0.01, 100)],
)
def test_a_sampling_number_out_of_range(job: Job, field: str, lowest: float, highest: float) -> None:
    for value in (lowest, highest):
        at_limit: Any = {field: value}
        prepare(job, **at_limit)
    for value in (lowest - 0.001, highest + 0.001, -1.0, 0.0):
        sampling = SamplingSpec(**{field: value})  # type: ignore[arg-type]
        said = refusals(replace(job, sampling=sampling))
        assert said == {Field(field): f"is {value:g}, outside {lowest:g} to {highest:g}"}
    for value in _NAN_AND_BEYOND:
        sampling = SamplingSpec(**{field: value})  # type: ignore[arg-type]
        said = refusals(replace(job, sampling=sampling))
        assert said == {Field(field): f"is {value}; send a number from {lowest:g} to {highest:g}"}


@pytest.mark.parametrize("step_count", [0, -1, 101])
def test_a_step_count_out_of_range(job: Job, step_count: int) -> None:
    said = refusals(replace(job, sampling=SamplingSpec(step_count=step_count)))
    assert said == {Field.STEP_COUNT: f"is {step_count}, outside 1 to 100"}


@pytest.mark.parametrize("seed", [-1, 2**63])
def test_a_seed_out_of_range(job: Job, seed: int) -> None:
    said = refusals(replace(job, sampling=SamplingSpec(seed=seed)))
    assert said == {Field.SEED: f"is {seed}, outside 0 to 9223372036854775807"}


@pytest.mark.parametrize("frame_rate", [0.0, 0.5, 121.0, *_NAN_AND_BEYOND])
def test_a_frame_rate_out_of_range(job: Job, frame_rate: float) -> None:
    assert [*refusals(replace(job, video=VideoSpec(frame_rate=frame_rate)))] == [Field.FRAME_RATE]


@pytest.mark.parametrize("score", [-0.1, 100.1, *_NAN_AND_BEYOND])
def test_a_required_score_out_of_range(job: Job, score: float) -> None:
    assert [*refusals(replace(job, match=MatchPolicy(minimum_score=score)))] == [Field.MINIMUM_SCORE]


def test_a_negative_number_of_steps_between_previews(job: Job) -> None:
    assert refusals(replace(job, preview_every_step_count=-1)) == {
        Field.PREVIEW_INTERVAL: "is negative; send 0 for no previews"
    }


def test_a_second_guidance_scale_for_a_model_with_one_transformer(job: Job) -> None:
    said = refusals(replace(job, sampling=SamplingSpec(guidance_scale_low_noise=3.0)), ONE_TRANSFORMER)
    assert said == {Field.GUIDANCE_SCALE_LOW_NOISE: "is set but this model has one transformer; leave it unset"}


def test_a_match_without_a_scorer(job: Job) -> None:
    for mode in (MatchMode.REPORT, MatchMode.REQUIRE):
        with pytest.raises(ScorerMissing, match="this bundle holds no scorer; export it with --scorer"):
            prepare_job(replace(job, match=MatchPolicy(mode)), WITHOUT_SCORER)
    for open_mode in (None, MatchMode.OFF):
        assert prepare_job(replace(job, match=MatchPolicy(open_mode)), WITHOUT_SCORER).match_mode is MatchMode.OFF


def test_everything_that_is_wrong_is_said_at_once() -> None:
    job = Job(
        Image(b"not a picture"),
        prompt=" ",
        negative_prompt="x" * 2_001,
        video=VideoSpec(32, 0, 10, frame_rate=math.nan),
        sampling=SamplingSpec(0, math.nan, math.inf, -1, 0.0),
        match=MatchPolicy(minimum_score=101.0),
        preview_every_step_count=-1,
    )
    assert set(refusals(job)) == {
        Field.IMAGE_DATA,
        Field.PROMPT,
        Field.NEGATIVE_PROMPT,
        Field.WIDTH,
        Field.FRAME_COUNT,
        Field.FRAME_RATE,
        Field.STEP_COUNT,
        Field.GUIDANCE_SCALE,
        Field.GUIDANCE_SCALE_LOW_NOISE,
        Field.SEED,
        Field.SHIFT,
        Field.MINIMUM_SCORE,
        Field.PREVIEW_INTERVAL,
    }


def test_a_strong_guidance_is_warned_of(job: Job) -> None:
    assert prepare(job, guidance_scale=7.0).warnings == ()
    (warning,) = prepare(job, guidance_scale=7.5).warnings
    assert warning.startswith("guidance_scale 7.5 is far above this model's own 3.5")


_REUSING = replace(TWO_EXPERTS, reuse_supported=True)
_NOT_REUSING = replace(TWO_EXPERTS, reuse_supported=False)
_BY_DEFAULT = replace(_REUSING, defaults=replace(_REUSING.defaults, reuse=StepReuse.BALANCED))


@pytest.mark.parametrize(
    ("capabilities", "asked", "step_count", "used", "reason"),
    [
        (_REUSING, StepReuse.FAST, 10, StepReuse.FAST, None),
        (_REUSING, None, 40, StepReuse.OFF, None),
        (_BY_DEFAULT, None, 40, StepReuse.BALANCED, None),
        (_BY_DEFAULT, StepReuse.OFF, 40, StepReuse.OFF, None),
        (_BY_DEFAULT, None, 9, StepReuse.OFF, None),
        (_REUSING, StepReuse.FAST, 9, StepReuse.OFF, "it needs at least 10 steps, this clip has 9"),
        (_NOT_REUSING, StepReuse.BALANCED, 40, StepReuse.OFF, "this model is distilled for few steps, or its bundle"),
    ],
)
def test_steps_are_reused_as_asked_where_that_has_an_effect(
    job: Job,
    capabilities: Capabilities,
    asked: StepReuse | None,
    step_count: int,
    used: StepReuse,
    reason: str | None,
) -> None:
    prepared = prepare_job(replace(job, sampling=SamplingSpec(step_count=step_count, reuse=asked)), capabilities)
    assert prepared.settings.reuse is used
    if reason is None:
        assert prepared.warnings == ()
    else:
        assert asked is not None
        (warning,) = prepared.warnings
        assert warning.startswith(f"reuse {asked.value} has no effect, every step is computed: {reason}")
