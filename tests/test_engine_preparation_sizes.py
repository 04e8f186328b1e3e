"""The size and length of a clip: sizes that were not compiled are refused, an unset size is chosen by aspect."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from engine.api.capabilities import Geometry
from engine.api.errors import NotCompiled
from engine.api.fields import Field
from engine.api.job import Job, VideoSpec
from engine.api.media import Image
from engine.preparation.job import prepare_job
from tests.preparing import TWO_EXPERTS, prepare, refusals


@pytest.fixture
def job(png: Callable[..., bytes]) -> Job:
    return Job(Image(png(64, 64)), "a cat jumps")


@pytest.mark.parametrize(("frame_count", "nearest"), [(-4, 1), (2, 1), (4, 5), (8, 9), (10, 9), (15, 17), (80, 81)])
def test_a_frame_count_that_is_not_one_more_than_a_multiple_of_four(job: Job, frame_count: int, nearest: int) -> None:
    said = refusals(replace(job, video=VideoSpec(frame_count=frame_count)))
    assert said == {Field.FRAME_COUNT: f"is {frame_count}, not 4n + 1; the nearest is {nearest}"}


@pytest.mark.parametrize("size", [(32, 0), (0, 32), (-32, 32), (32, -32), (-1, -1)])
def test_half_a_size(job: Job, size: tuple[int, int]) -> None:
    said = refusals(replace(job, video=VideoSpec(*size)))
    assert said == {
        Field.WIDTH: f"is {size[0]} beside a height of {size[1]}; send both, or neither to let the "
        "server choose by the picture's aspect"
    }


def test_a_size_that_was_not_compiled(job: Job) -> None:
    with pytest.raises(NotCompiled) as refused:
        prepare_job(replace(job, video=VideoSpec(64, 32)), TWO_EXPERTS)
    assert refused.value.violation.field == Field.WIDTH
    assert str(refused.value) == ("width_px: asks for 64x32; this server was compiled for 32x32, 48x32 at 9 frames")


def test_a_size_that_was_compiled_for_another_length_only(job: Job) -> None:
    other = replace(TWO_EXPERTS, geometries=(Geometry(32, 32, 9), Geometry(48, 32, 17)))
    with pytest.raises(NotCompiled, match="48x32; this server was compiled for 32x32 at 9 frames"):
        prepare_job(replace(job, video=VideoSpec(48, 32, 9)), other)


def test_a_length_that_was_not_compiled(job: Job) -> None:
    with pytest.raises(NotCompiled) as refused:
        prepare_job(replace(job, video=VideoSpec(frame_count=13)), TWO_EXPERTS)
    assert str(refused.value) == "frame_count: is 13; this server was compiled for 9, 17 frames"


@pytest.mark.parametrize(
    ("picture_size", "clip_size"), [((90, 60), (48, 32)), ((60, 60), (32, 32)), ((30, 90), (32, 32))]
)
def test_a_job_without_a_size_takes_the_nearest_aspect(
    job: Job, png: Callable[..., bytes], picture_size: tuple[int, int], clip_size: tuple[int, int]
) -> None:
    settings = prepare(replace(job, image=Image(png(*picture_size)))).settings
    assert (settings.width_px, settings.height_px) == clip_size


def test_a_small_picture_is_warned_of(job: Job, png: Callable[..., bytes]) -> None:
    assert prepare(replace(job, image=Image(png(22, 22)))).warnings == ()
    (warning,) = prepare(replace(job, image=Image(png(21, 21)))).warnings
    assert warning.startswith("the picture gives only 21x21 pixels for a clip of 32x32")
