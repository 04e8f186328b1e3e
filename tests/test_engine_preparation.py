"""Validation of a job's fields: error, field name and advice for bad values, defaults for unset ones."""

from __future__ import annotations

import io
import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image as Pillow

from engine.api.capabilities import Capabilities, Geometry, SamplingDefaults
from engine.api.errors import InvalidJob, NotCompiled, ScorerMissing
from engine.api.fields import Field
from engine.api.job import Job, MatchMode, MatchPolicy, PictureFit, PreparedJob, SamplingSpec, Settings, VideoSpec
from engine.api.match_report import CropProposal, Grounding, MatchBasis, MatchReport, MatchVerdict
from engine.api.media import Box, Image, ImageFormat
from engine.preparation.job import prepare_job
from engine.testing.fake_engine import FAKE_CAPABILITIES

_DEFAULTS = SamplingDefaults(
    step_count=4,
    guidance_scale=3.5,
    guidance_scale_low_noise=3.0,
    shift=5.0,
    frame_rate=8.0,
    negative_prompt="blurred",
)
_TWO_EXPERTS = replace(
    FAKE_CAPABILITIES,
    geometries=(Geometry(32, 32, 9), Geometry(48, 32, 9), Geometry(32, 32, 17)),
    defaults=_DEFAULTS,
)
_ONE_TRANSFORMER = replace(_TWO_EXPERTS, defaults=replace(_DEFAULTS, guidance_scale_low_noise=None))
_WITHOUT_SCORER = replace(_TWO_EXPERTS, match_supported=False)


@pytest.fixture
def job(png: Callable[..., bytes]) -> Job:
    return Job(Image(png(64, 64)), "a cat jumps")


def _refusals(job: Job, capabilities: Capabilities = _TWO_EXPERTS) -> dict[Field, str]:
    """What is wrong, by field."""
    with pytest.raises(InvalidJob) as refused:
        prepare_job(job, capabilities)
    return {item.field: item.description for item in refused.value.violations}


def _prepare(job: Job, capabilities: Capabilities = _TWO_EXPERTS, **sampling: Any) -> PreparedJob:
    return prepare_job(replace(job, sampling=SamplingSpec(**sampling)), capabilities)


def test_what_a_job_leaves_open_is_filled_in(job: Job) -> None:
    prepared = _prepare(job, seed=11)
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
    prepared = prepare_job(spoken, _TWO_EXPERTS)
    assert prepared.settings == Settings(
        32, 32, 17, 24.0, 7, 2.0, 4.0, 2**63 - 1, 3.0, "", Box(30, 0, 40, 40), PictureFit.CROP_CENTER
    )
    assert (prepared.match_mode, prepared.minimum_score) == (MatchMode.REQUIRE, 55.0)
    assert prepared.preview_every_step_count == 3


def test_one_guidance_scale_means_both_experts(job: Job) -> None:
    settings = _prepare(job, guidance_scale=2.0).settings
    assert (settings.guidance_scale, settings.guidance_scale_low_noise) == (2.0, 2.0)
    settings = _prepare(job, guidance_scale_low_noise=2.0).settings
    assert (settings.guidance_scale, settings.guidance_scale_low_noise) == (3.5, 2.0)
    settings = _prepare(job, _ONE_TRANSFORMER, guidance_scale=2.0).settings
    assert (settings.guidance_scale, settings.guidance_scale_low_noise) == (2.0, None)


@pytest.mark.parametrize("prompt", ["", "   ", "\n\t\u3000"])
def test_an_empty_prompt(job: Job, prompt: str) -> None:
    assert _refusals(replace(job, prompt=prompt)) == {
        Field.PROMPT: "is empty; name the subject of the picture and what it does"
    }


@pytest.mark.parametrize("field", ["prompt", "negative_prompt"])
def test_a_prompt_that_is_too_long(job: Job, field: str) -> None:
    longest: Any = {field: "猫" * 2_000}
    prepare_job(replace(job, **longest), _TWO_EXPERTS)
    longer: Any = {field: "猫" * 2_001}
    assert _refusals(replace(job, **longer)) == {
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
        _prepare(job, **at_limit)
    for value in (lowest - 0.001, highest + 0.001, -1.0, 0.0):
        sampling = SamplingSpec(**{field: value})  # type: ignore[arg-type]
        said = _refusals(replace(job, sampling=sampling))
        assert said == {Field(field): f"is {value:g}, outside {lowest:g} to {highest:g}"}
    for value in _NAN_AND_BEYOND:
        sampling = SamplingSpec(**{field: value})  # type: ignore[arg-type]
        said = _refusals(replace(job, sampling=sampling))
        assert said == {Field(field): f"is {value}; send a number from {lowest:g} to {highest:g}"}


@pytest.mark.parametrize("step_count", [0, -1, 101])
def test_a_step_count_out_of_range(job: Job, step_count: int) -> None:
    said = _refusals(replace(job, sampling=SamplingSpec(step_count=step_count)))
    assert said == {Field.STEP_COUNT: f"is {step_count}, outside 1 to 100"}


@pytest.mark.parametrize("seed", [-1, 2**63])
def test_a_seed_out_of_range(job: Job, seed: int) -> None:
    said = _refusals(replace(job, sampling=SamplingSpec(seed=seed)))
    assert said == {Field.SEED: f"is {seed}, outside 0 to 9223372036854775807"}


@pytest.mark.parametrize("frame_rate", [0.0, 0.5, 121.0, *_NAN_AND_BEYOND])
def test_a_frame_rate_out_of_range(job: Job, frame_rate: float) -> None:
    assert [*_refusals(replace(job, video=VideoSpec(frame_rate=frame_rate)))] == [Field.FRAME_RATE]


@pytest.mark.parametrize("score", [-0.1, 100.1, *_NAN_AND_BEYOND])
def test_a_required_score_out_of_range(job: Job, score: float) -> None:
    assert [*_refusals(replace(job, match=MatchPolicy(minimum_score=score)))] == [Field.MINIMUM_SCORE]


def test_a_negative_number_of_steps_between_previews(job: Job) -> None:
    assert _refusals(replace(job, preview_every_step_count=-1)) == {
        Field.PREVIEW_INTERVAL: "is negative; send 0 for no previews"
    }


def test_a_second_guidance_scale_for_a_model_with_one_transformer(job: Job) -> None:
    said = _refusals(replace(job, sampling=SamplingSpec(guidance_scale_low_noise=3.0)), _ONE_TRANSFORMER)
    assert said == {Field.GUIDANCE_SCALE_LOW_NOISE: "is set but this model has one transformer; leave it unset"}


@pytest.mark.parametrize(("frame_count", "nearest"), [(-4, 1), (2, 1), (4, 5), (8, 9), (10, 9), (15, 17), (80, 81)])
def test_a_frame_count_that_is_not_one_more_than_a_multiple_of_four(job: Job, frame_count: int, nearest: int) -> None:
    said = _refusals(replace(job, video=VideoSpec(frame_count=frame_count)))
    assert said == {Field.FRAME_COUNT: f"is {frame_count}, not 4n + 1; the nearest is {nearest}"}


@pytest.mark.parametrize("size", [(32, 0), (0, 32), (-32, 32), (32, -32), (-1, -1)])
def test_half_a_size(job: Job, size: tuple[int, int]) -> None:
    said = _refusals(replace(job, video=VideoSpec(*size)))
    assert said == {
        Field.WIDTH: f"is {size[0]} beside a height of {size[1]}; send both, or neither to let the "
        "server choose by the picture's aspect"
    }


def test_a_size_that_was_not_compiled(job: Job) -> None:
    with pytest.raises(NotCompiled) as refused:
        prepare_job(replace(job, video=VideoSpec(64, 32)), _TWO_EXPERTS)
    assert refused.value.violation.field == Field.WIDTH
    assert str(refused.value) == ("width_px: asks for 64x32; this server was compiled for 32x32, 48x32 at 9 frames")


def test_a_size_that_was_compiled_for_another_length_only(job: Job) -> None:
    with pytest.raises(NotCompiled, match="48x32; this server was compiled for 32x32 at 17 frames"):
        prepare_job(replace(job, video=VideoSpec(48, 32, 17)), _TWO_EXPERTS)


def test_a_length_that_was_not_compiled(job: Job) -> None:
    with pytest.raises(NotCompiled) as refused:
        prepare_job(replace(job, video=VideoSpec(frame_count=13)), _TWO_EXPERTS)
    assert str(refused.value) == "frame_count: is 13; this server was compiled for 9, 17 frames"


@pytest.mark.parametrize(
    ("picture_size", "clip_size"), [((90, 60), (48, 32)), ((60, 60), (32, 32)), ((30, 90), (32, 32))]
)
def test_a_job_without_a_size_takes_the_nearest_aspect(
    job: Job, png: Callable[..., bytes], picture_size: tuple[int, int], clip_size: tuple[int, int]
) -> None:
    settings = _prepare(replace(job, image=Image(png(*picture_size)))).settings
    assert (settings.width_px, settings.height_px) == clip_size


def test_a_match_without_a_scorer(job: Job) -> None:
    for mode in (MatchMode.REPORT, MatchMode.REQUIRE):
        with pytest.raises(ScorerMissing, match="this bundle holds no scorer; export it with --scorer"):
            prepare_job(replace(job, match=MatchPolicy(mode)), _WITHOUT_SCORER)
    for open_mode in (None, MatchMode.OFF):
        assert prepare_job(replace(job, match=MatchPolicy(open_mode)), _WITHOUT_SCORER).match_mode is MatchMode.OFF


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
    assert set(_refusals(job)) == {
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
    assert _prepare(job, guidance_scale=7.0).warnings == ()
    (warning,) = _prepare(job, guidance_scale=7.5).warnings
    assert warning.startswith("guidance_scale 7.5 is far above this model's own 3.5")


def test_a_small_picture_is_warned_of(job: Job, png: Callable[..., bytes]) -> None:
    assert _prepare(replace(job, image=Image(png(22, 22)))).warnings == ()
    (warning,) = _prepare(replace(job, image=Image(png(21, 21)))).warnings
    assert warning.startswith("the picture gives only 21x21 pixels for a clip of 32x32")


_HALVES = np.repeat(np.array([[[200, 0, 0], [0, 0, 100]]], np.uint8), 40, axis=0).repeat(40, axis=1)  # 80x40


def _fitted(fit: PictureFit, picture: NDArray[np.uint8] = _HALVES, crop: Box | None = None) -> PreparedJob:
    buffer = io.BytesIO()
    Pillow.fromarray(picture).save(buffer, "PNG")
    job = Job(Image(buffer.getvalue()), "a cat jumps", video=VideoSpec(32, 32, 9, picture_fit=fit))
    grounding = Grounding((), crop, 0.0, 0.0, 0.5, 0.5, 0.0)
    proposal = CropProposal(32, 32, crop or Box(0, 0, 1, 1), 1.0, 1.0, 1.0, 1.0)
    report = MatchReport(
        50.0, MatchVerdict.POOR, 0.0, 0.0, MatchBasis.CALIBRATED, grounding=grounding, crops=(proposal,)
    )
    return prepare_job(job, _TWO_EXPERTS, lambda _image, _prompt: report)


def test_padding_keeps_the_whole_picture_between_bars_of_its_edges() -> None:
    prepared = _fitted(PictureFit.PAD)
    assert prepared.settings.crop == Box(0, 0, 80, 40)
    assert prepared.settings.picture_fit is PictureFit.PAD
    inner = prepared.picture[8:24]  # 32x16
    assert np.abs(inner[:, :14].astype(int) - [200, 0, 0]).max() <= 1
    assert np.abs(inner[:, 18:].astype(int) - [0, 0, 100]).max() <= 1
    for bar in (prepared.picture[:8], prepared.picture[24:]):
        assert np.abs(bar.astype(int) - [100, 0, 50]).max() <= 2


def test_padding_a_picture_of_the_size_changes_nothing() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)
    np.testing.assert_array_equal(_fitted(PictureFit.PAD, picture).picture, picture)


@pytest.mark.parametrize(("size", "is_refused"), [((40, 80), True), ((64, 64), False), ((64, 65), False)], ids=str)
def test_another_aspect_is_refused_where_that_is_asked_for(size: tuple[int, int], is_refused: bool) -> None:
    picture = np.zeros((*size, 3), np.uint8)
    if not is_refused:
        assert _fitted(PictureFit.REFUSE, picture).picture.shape == (32, 32, 3)
        return
    with pytest.raises(InvalidJob) as refused:
        _fitted(PictureFit.REFUSE, picture)
    assert [item.field for item in refused.value.violations] == [Field.IMAGE_DATA]
    assert "is 80x40 pixels, not of the aspect of 32x32" in str(refused.value)


def test_the_part_around_the_subject() -> None:
    prepared = _fitted(PictureFit.CROP_SUBJECT, crop=Box(44, 4, 32, 32))
    assert prepared.settings.crop == Box(44, 4, 32, 32)
    assert (prepared.picture == [0, 0, 100]).all()
    assert prepared.warnings == ()


def test_a_small_part_of_a_picture_of_the_size_is_enlarged() -> None:
    """A picture of the clip's size is not taken whole where a part of it was asked for."""
    picture = np.zeros((32, 32, 3), np.uint8)
    picture[:22, :22] = 255
    prepared = _fitted(PictureFit.CROP_SUBJECT, picture, crop=Box(0, 0, 22, 22))
    assert prepared.picture.min() > 180  # the filter reaches a little beyond the part


def test_a_subject_that_is_not_found_is_no_reason_to_refuse() -> None:
    prepared = _fitted(PictureFit.CROP_SUBJECT)
    assert prepared.settings.crop == Box(20, 0, 40, 40)
    assert prepared.warnings == ("the subject was not found in the picture, so it is cut from the centre",)


def test_the_subject_needs_a_scorer(job: Job) -> None:
    with pytest.raises(ScorerMissing) as missing:
        prepare_job(replace(job, video=VideoSpec(picture_fit=PictureFit.CROP_SUBJECT)), _WITHOUT_SCORER)
    assert missing.value.field == Field.PICTURE_FIT
