"""What is refused of long clips: each wrong field is named, with its segment and the remedy, all at once."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from engine.api.capabilities import Geometry
from engine.api.chain import SegmentSpec
from engine.api.errors import NotCompiled, Violation
from engine.api.fields import Field
from engine.api.job import MAX_SEED, Job, SamplingSpec, VideoSpec
from engine.api.media import Image
from engine.preparation.job import prepare_job
from tests.preparing import ONE_TRANSFORMER
from tests.preparing_chains import FIVE, ONE, refusal, violations, with_segments

_STAGES = "A woman in a red coat first looks up, then smiles, then waves, soft light"


@pytest.fixture
def job(png: Callable[..., bytes]) -> Job:
    return Job(Image(png(64, 64)), _STAGES, sampling=SamplingSpec(seed=7))


@pytest.fixture
def chain(job: Job) -> Job:
    return replace(job, prompt="", segments=(SegmentSpec("a cat jumps"), SegmentSpec("a cat runs away")))


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"prompt": " "}, (Field.SEGMENT_PROMPT, 1, "is empty; name the subject of the picture and what it does")),
        (
            {"prompt": "x" * 2_001},
            (Field.SEGMENT_PROMPT, 1, "has 2001 characters, more than the limit of 2000; shorten it"),
        ),
        ({"frame_count": 10}, (Field.SEGMENT_FRAME_COUNT, 1, "is 10, not 4n + 1; the nearest is 9")),
        ({"frame_count": -3}, (Field.SEGMENT_FRAME_COUNT, 1, "is -3, not 4n + 1; the nearest is 1")),
        (
            {"frame_count": 5},
            (
                Field.SEGMENT_FRAME_COUNT,
                1,
                "is 5; a segment repeats the last 5 frames before it and needs more than these",
            ),
        ),
        ({"seed": -1}, (Field.SEGMENT_SEED, 1, "is -1, outside 0 to 9223372036854775807")),
        ({"guidance_scale": math.nan}, (Field.SEGMENT_GUIDANCE_SCALE, 1, "is nan; send a number from 1 to 30")),
        (
            {"guidance_scale_low_noise": 31.0},
            (Field.SEGMENT_GUIDANCE_SCALE_LOW_NOISE, 1, "is 31, outside 1 to 30"),
        ),
    ],
)
def test_a_wrong_field_of_a_segment(chain: Job, changes: dict[str, Any], expected: tuple[Field, int, str]) -> None:
    assert refusal(with_segments(chain, **changes)) == expected


def test_a_segment_adds_a_frame(chain: Job) -> None:
    assert refusal(with_segments(chain, frame_count=1), ONE) == (
        Field.SEGMENT_FRAME_COUNT,
        1,
        "is 1; a segment repeats the last frame before it and needs more than this one",
    )


def test_other_wrong_fields_of_a_chain(chain: Job) -> None:
    assert refusal(replace(chain, prompt="a cat")) == (
        Field.PROMPT,
        None,
        "is set beside segments, which hold the sentences; leave it empty",
    )
    assert refusal(with_segments(chain, guidance_scale_low_noise=3.0), ONE_TRANSFORMER) == (
        Field.SEGMENT_GUIDANCE_SCALE_LOW_NOISE,
        1,
        "is set but this model has one transformer; leave it unset",
    )
    assert refusal(replace(chain, segments=chain.segments * 7)) == (
        Field.SEGMENTS,
        None,
        "are 14, more than the limit of 12; send fewer",
    )
    too_large = f"is {MAX_SEED}; segment 2 would have 1 more, above {MAX_SEED}; send a smaller seed"
    greatest = replace(chain, sampling=SamplingSpec(seed=MAX_SEED))
    assert refusal(greatest) == (Field.SEED, None, too_large)
    assert prepare_job(with_segments(greatest, seed=1), FIVE).settings.seed == MAX_SEED
    divided = replace(greatest, prompt=_STAGES, segments=(), video=VideoSpec(frame_count=21))
    assert refusal(divided) == (Field.SEED, None, too_large)
    first = (SegmentSpec("a cat jumps", 1), SegmentSpec("a cat runs"))
    assert refusal(replace(chain, segments=first)) == (
        Field.SEGMENT_FRAME_COUNT,
        0,
        "is 1; the next segment repeats 5 frames, so send at least that many",
    )


def test_no_more_segments_than_the_limit_are_asked_for(chain: Job) -> None:
    few = replace(FIVE, limits=replace(FIVE.limits, max_segment_count=3))
    _, _, description = refusal(replace(chain, video=VideoSpec(frame_count=21)), few)
    assert description == "is 21; the 2 segments have 13: ask for fewer frames"


@pytest.mark.parametrize(
    ("frame_count", "description"),
    [
        (
            9,
            "is 9, so that the last of the 2 segments would add no frame: leave that segment out, or ask for 13 fr",
        ),
        (21, "is 21; the 2 segments have 13: send 2 more segments of the default length, or ask for fewer frames"),
        (17, "is 17; the 2 segments have 13: send 1 more segment of the default length, or ask for fewer frames"),
    ],
)
def test_a_length_that_does_not_end_in_the_last_segment(chain: Job, frame_count: int, description: str) -> None:
    field, segment, told = refusal(replace(chain, video=VideoSpec(frame_count=frame_count)))
    assert (field, segment) == (Field.FRAME_COUNT, None)
    assert told.startswith(description)
    as_seconds = refusal(replace(chain, video=VideoSpec(seconds=frame_count / 8)))
    assert as_seconds[0] is Field.SECONDS
    assert f"that is {frame_count} frames" in as_seconds[2]


@pytest.mark.parametrize(
    ("seconds", "description"),
    [
        (math.nan, "is nan; send a number above 0"),
        (math.inf, "is inf; send a number above 0"),
        (0.0, "is 0; send a number above 0"),
        (-1.0, "is -1; send a number above 0"),
        (1e308, "is 1e+308; the longest clip of this server has 18.62 s (149 frames)"),
        (18.9, "is 18.9; the longest clip of this server has 18.62 s (149 frames)"),
    ],
)
def test_seconds_out_of_range(job: Job, seconds: float, description: str) -> None:
    assert refusal(replace(job, video=VideoSpec(seconds=seconds))) == (Field.SECONDS, None, description)


def test_seconds_that_no_compiled_length_has(job: Job) -> None:
    with pytest.raises(NotCompiled) as refused:
        prepare_job(replace(job, video=VideoSpec(seconds=1.6)), FIVE)
    assert refused.value.violation.field is Field.SECONDS
    assert refused.value.violation.description == (
        "is 1.6, that is 13 frames; this server was compiled for 9, 17 frames, that is 1.125, 2.125 s"
    )


def test_lengths_of_segments_that_were_not_compiled(chain: Job) -> None:
    with pytest.raises(NotCompiled) as refused:
        prepare_job(with_segments(chain, frame_count=13), FIVE)
    description = "is 13; this server was compiled for 9, 17 frames"
    assert refused.value.violation == Violation(Field.SEGMENT_FRAME_COUNT, description, 1)
    with pytest.raises(NotCompiled, match="asks for 48x32; this server was compiled for 32x32 at 9, 17 frames"):
        prepare_job(replace(with_segments(chain, frame_count=17), video=VideoSpec(48, 32)), FIVE)
    apart = replace(FIVE, geometries=(Geometry(32, 32, 9), Geometry(48, 32, 17)))
    with pytest.raises(NotCompiled, match="segments: have 9, 17 frames, and no size was compiled for all of these"):
        prepare_job(with_segments(chain, frame_count=17), apart)


def test_everything_that_is_wrong_is_said_at_once(chain: Job) -> None:
    wrong = SegmentSpec(" ", 10, -1, math.inf, 0.0)
    job = replace(
        chain, prompt="a cat", video=VideoSpec(frame_count=10, seconds=-1.0), segments=(*chain.segments, wrong)
    )
    assert {(item.field, item.segment) for item in violations(job)} == {
        (Field.PROMPT, None),
        (Field.FRAME_COUNT, None),
        (Field.SECONDS, None),
        (Field.SEGMENT_PROMPT, 2),
        (Field.SEGMENT_FRAME_COUNT, 2),
        (Field.SEGMENT_SEED, 2),
        (Field.SEGMENT_GUIDANCE_SCALE, 2),
        (Field.SEGMENT_GUIDANCE_SCALE_LOW_NOISE, 2),
    }
    both = violations(replace(chain, video=VideoSpec(frame_count=13, seconds=2.0)))
    assert [str(item) for item in both] == ["seconds: is set beside frame_count; send one of them"]


def test_huge_values_are_refused_at_once(job: Job) -> None:
    hostile = [
        (replace(job, video=VideoSpec(frame_count=2**31 - 1)), Field.FRAME_COUNT),
        (replace(job, video=VideoSpec(frame_count=2**31 - 3)), Field.FRAME_COUNT),
        (replace(job, video=VideoSpec(frame_count=-(2**31))), Field.FRAME_COUNT),
        (replace(job, video=VideoSpec(seconds=1e308, frame_rate=120.0)), Field.SECONDS),
        (replace(job, prompt="", segments=(SegmentSpec("x" * 2_000),) * 10**6), Field.SEGMENTS),
        (replace(job, prompt="", segments=(SegmentSpec("a cat jumps", 10**400),)), Field.SEGMENT_FRAME_COUNT),
    ]
    began = time.perf_counter()
    for refused, field in hostile:
        assert [item.field for item in violations(refused)] == [field]
    assert time.perf_counter() - began < 1.0
