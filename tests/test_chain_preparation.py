"""Long clips are prepared as chains: lengths, sentences, seeds and settings of their segments, and what is refused."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from engine.api.capabilities import Capabilities, Geometry
from engine.api.chain import SegmentSpec
from engine.api.errors import InvalidJob, NotCompiled, Violation
from engine.api.fields import Field
from engine.api.job import MAX_SEED, ClipPlan, Job, PictureFit, PreparedJob, SamplingSpec, VideoSpec
from engine.api.match_report import MatchReport
from engine.api.media import Box, Image
from engine.preparation.chain_lengths import chain_frame_count, fewest_computed
from engine.preparation.job import prepare_job
from engine.preparation.score_request import prepare_score_request
from tests.preparing import ONE_TRANSFORMER, TWO_EXPERTS

_FIVE = replace(TWO_EXPERTS, given_frame_count=5)  # two latent frames
_ONE = replace(TWO_EXPERTS, given_frame_count=1)  # the default of a server
_STAGES = "A woman in a red coat first looks up, then smiles, then waves, soft light"


@pytest.fixture
def job(png: Callable[..., bytes]) -> Job:
    return Job(Image(png(64, 64)), _STAGES, sampling=SamplingSpec(seed=7))


@pytest.fixture
def chain(job: Job) -> Job:
    return replace(job, prompt="", segments=(SegmentSpec("a cat jumps"), SegmentSpec("a cat runs away")))


def _violations(job: Job, capabilities: Capabilities = _FIVE) -> list[Violation]:
    with pytest.raises(InvalidJob) as refused:
        prepare_job(job, capabilities)
    return [*refused.value.violations]


def _refusal(job: Job, capabilities: Capabilities = _FIVE) -> tuple[Field, int | None, str]:
    (violation,) = _violations(job, capabilities)
    return violation.field, violation.segment, violation.description


def _with_segments(job: Job, **fields: Any) -> Job:
    """The job with fields of its last segment changed."""
    return replace(job, segments=(*job.segments[:-1], replace(job.segments[-1], **fields)))


def _lengths(prepared: PreparedJob) -> list[tuple[int, int, int, int]]:
    """Compiled frames, first frame, new frames and given frames of each segment."""
    return [
        (item.settings.frame_count, item.first_frame_index, item.new_frame_count, item.given_frame_count)
        for item in prepared.segments
    ]


def test_a_long_clip_is_divided_by_the_stages_of_its_sentence(job: Job) -> None:
    prepared = prepare_job(replace(job, video=VideoSpec(frame_count=37)), _FIVE)
    assert prepared.prompt == _STAGES
    assert [segment.prompt for segment in prepared.segments] == [
        "A woman in a red coat looks up, soft light.",
        "A woman in a red coat smiles, soft light.",
        "A woman in a red coat waves, soft light.",
    ]
    assert _lengths(prepared) == [(17, 0, 17, 0), (17, 17, 12, 5), (17, 29, 8, 5)]
    assert [segment.settings.seed for segment in prepared.segments] == [7, 8, 9]
    assert prepared.settings == replace(prepared.segments[0].settings, frame_count=37)
    assert prepared.warnings == ()


def test_a_clip_of_a_compiled_length_is_no_chain(job: Job) -> None:
    prepared = prepare_job(replace(job, video=VideoSpec(frame_count=17)), _FIVE)
    assert (prepared.segments, prepared.prompt, prepared.settings.frame_count) == ((), _STAGES, 17)


def test_later_segments_begin_from_the_whole_frame(job: Job, png: Callable[..., bytes]) -> None:
    wide = replace(job, image=Image(png(100, 40)), video=VideoSpec(32, 32, 33))
    prepared = prepare_job(wide, _ONE)
    assert [segment.settings.crop for segment in prepared.segments] == [Box(30, 0, 40, 40), Box(0, 0, 32, 32)]
    assert prepared.settings.crop == Box(30, 0, 40, 40)


@pytest.mark.parametrize(("seconds", "frame_count"), [(4.6, 37), (4.875, 41), (1.0, 9), (2.2, 17), (0.01, 1)])
def test_seconds_stand_for_the_nearest_frame_count(job: Job, seconds: float, frame_count: int) -> None:
    capabilities = replace(_FIVE, geometries=(*_FIVE.geometries, Geometry(32, 32, 1)))
    prepared = prepare_job(replace(job, video=VideoSpec(32, 32, seconds=seconds)), capabilities)
    assert prepared.settings.frame_count == frame_count


@pytest.mark.parametrize(
    ("frame_count", "lengths", "given", "expected"),
    [
        (81, [81], 5, (81,)),
        (85, [81], 5, (81, 81)),
        (157, [81], 5, (81, 81)),
        (161, [49, 81], 5, (81, 49, 49)),  # 179 computed frames, and three of 81 are 243
        (21, [9, 17], 1, (17, 9)),
        (13, [5, 9], 5, (9, 9)),  # 5 frames of a follower would all be given
        (17, [5, 9], 5, (9, 9, 9)),
        (17, [4], 4, None),
        (9, [1, 5], 5, None),  # neither a first segment of 1 frame nor a later one of 5 can serve
        (10_001, [81], 5, None),
    ],
)
def test_the_fewest_computed_frames_fill_a_clip(
    frame_count: int, lengths: list[int], given: int, expected: tuple[int, ...] | None
) -> None:
    assert fewest_computed(frame_count, lengths, given, 12) == expected


@pytest.mark.parametrize(("lengths", "given"), [([81], 5), ([9, 17], 1), ([5, 9, 13], 5), ([17], 16), ([5], 5)])
def test_every_length_up_to_the_longest_chain_can_be_filled(lengths: list[int], given: int) -> None:
    limits = replace(_ONE.limits, max_segment_count=4)
    longest = replace(_ONE, given_frame_count=given, limits=limits).longest_chain(lengths)
    for frame_count in range(max(lengths) + 1, longest + 1):
        chosen = fewest_computed(frame_count, lengths, given, 4)
        assert chosen is not None
        assert chain_frame_count(chosen, given) >= frame_count > chain_frame_count(chosen[:-1], given)
        assert chosen[0] >= given < min(chosen[1:])
    assert fewest_computed(longest + 1, lengths, given, 4) is None


def test_the_size_of_a_chain_follows_the_aspect_among_sizes_that_are_long_enough(
    job: Job, png: Callable[..., bytes]
) -> None:
    wide = replace(job, image=Image(png(96, 64)))
    assert prepare_job(replace(wide, video=VideoSpec(frame_count=33)), _FIVE).settings.width_px == 48
    long = replace(_FIVE, limits=replace(_FIVE.limits, max_segment_count=3))  # 48x32 reaches 17 frames, 32x32 41
    assert prepare_job(replace(wide, video=VideoSpec(frame_count=33)), long).settings.width_px == 32
    with pytest.raises(NotCompiled, match="asks for 48x32; this server was compiled for 32x32 at 33 frames"):
        prepare_job(replace(wide, video=VideoSpec(48, 32, 33)), long)
    assert _lengths(prepare_job(replace(wide, video=VideoSpec(48, 32, 17)), _FIVE)) == [
        (9, 0, 9, 0),
        (9, 9, 4, 5),
        (9, 13, 4, 5),
    ]


def test_a_last_segment_of_a_few_frames_is_warned_of(job: Job) -> None:
    capabilities = replace(_FIVE, geometries=(Geometry(32, 32, 81),))
    warnings = prepare_job(replace(job, video=VideoSpec(frame_count=161)), capabilities).warnings
    assert warnings == ("161 frames take 3 segments, and the last adds only 4 of its 76 frames; 157 frames take 2",)


@pytest.mark.parametrize(
    ("prompt", "warning"),
    [
        (
            "a cat jumps",
            "the sentence has one stage, so that each of the 3 segments has the whole sentence; name further stages "
            "in order, with “then” or “然后”, or send segments",
        ),
        (
            "a cat jumps, then runs",
            "the sentence has 2 stages for 3 segments: segment 1: stage 1; segments 2 to 3: stage 2",
        ),
        (
            "a cat jumps, then runs, then sits, then sleeps",
            "the sentence has 4 stages for 3 segments: segment 1: stages 1 to 2; segment 2: stage 3; "
            "segment 3: stage 4",
        ),
        (
            "jumps, then runs",
            "the sentence was not divided by its stages (no subject stands before its first action), so that each of "
            "the 3 segments has the whole sentence; send segments, each with a sentence of its own",
        ),
    ],
)
def test_how_a_sentence_was_divided_is_told(job: Job, prompt: str, warning: str) -> None:
    prepared = prepare_job(replace(job, prompt=prompt, video=VideoSpec(frame_count=37)), _FIVE)
    assert prepared.warnings == (warning,)


def test_segments_have_the_sentences_seeds_and_guidance_that_are_given(job: Job) -> None:
    segments = (
        SegmentSpec("a cat jumps", 9),
        SegmentSpec("a cat runs", 17, seed=3, guidance_scale=2.0),
        SegmentSpec("a cat sleeps", guidance_scale_low_noise=4.0),
    )
    given = replace(job, prompt=" ", segments=segments, sampling=SamplingSpec(seed=7, guidance_scale=5.0))
    prepared = prepare_job(given, _FIVE)
    assert prepared.prompt == "a cat jumps"
    assert [segment.prompt for segment in prepared.segments] == ["a cat jumps", "a cat runs", "a cat sleeps"]
    assert _lengths(prepared) == [(9, 0, 9, 0), (17, 9, 12, 5), (9, 21, 4, 5)]
    settings = [segment.settings for segment in prepared.segments]
    assert [item.seed for item in settings] == [7, 3, 9]
    assert [item.guidance_scale for item in settings] == [5.0, 2.0, 5.0]
    assert [item.guidance_scale_low_noise for item in settings] == [5.0, 2.0, 4.0]
    assert prepared.settings == replace(settings[0], frame_count=25)


def test_the_length_of_the_clip_cuts_its_last_segment(chain: Job) -> None:
    assert _lengths(prepare_job(replace(chain, video=VideoSpec(frame_count=13)), _ONE))[-1] == (9, 9, 4, 1)
    assert _lengths(prepare_job(replace(chain, video=VideoSpec(seconds=2.0)), _ONE))[-1] == (9, 9, 8, 1)


def test_one_segment_is_a_plain_clip(job: Job) -> None:
    alone = replace(job, prompt="", segments=(SegmentSpec("a cat jumps", 17, 3, 2.0),))
    prepared = prepare_job(alone, _FIVE)
    assert (prepared.segments, prepared.prompt) == ((), "a cat jumps")
    settings = prepared.settings
    assert (settings.frame_count, settings.seed, settings.guidance_scale) == (17, 3, 2.0)
    assert prepare_job(replace(alone, video=VideoSpec(frame_count=17)), _FIVE) is not None
    open_length = _with_segments(alone, frame_count=0)
    assert prepare_job(replace(open_length, video=VideoSpec(frame_count=17)), _FIVE).settings.frame_count == 17
    assert _refusal(replace(alone, video=VideoSpec(frame_count=9))) == (
        Field.FRAME_COUNT,
        None,
        "is 9; the segment has 17: leave out one of the two lengths",
    )
    assert _refusal(replace(open_length, video=VideoSpec(frame_count=33))) == (
        Field.FRAME_COUNT,
        None,
        "is 33; the segment has 9: send 6 more segments of the default length, or ask for fewer frames",
    )


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
    assert _refusal(_with_segments(chain, **changes)) == expected


def test_a_segment_adds_a_frame(chain: Job) -> None:
    assert _refusal(_with_segments(chain, frame_count=1), _ONE) == (
        Field.SEGMENT_FRAME_COUNT,
        1,
        "is 1; a segment repeats the last frame before it and needs more than this one",
    )


def test_other_wrong_fields_of_a_chain(chain: Job) -> None:
    assert _refusal(replace(chain, prompt="a cat")) == (
        Field.PROMPT,
        None,
        "is set beside segments, which hold the sentences; leave it empty",
    )
    assert _refusal(_with_segments(chain, guidance_scale_low_noise=3.0), ONE_TRANSFORMER) == (
        Field.SEGMENT_GUIDANCE_SCALE_LOW_NOISE,
        1,
        "is set but this model has one transformer; leave it unset",
    )
    assert _refusal(replace(chain, segments=chain.segments * 7)) == (
        Field.SEGMENTS,
        None,
        "are 14, more than the limit of 12; send fewer",
    )
    too_large = f"is {MAX_SEED}; segment 2 would have 1 more, above {MAX_SEED}; send a smaller seed"
    greatest = replace(chain, sampling=SamplingSpec(seed=MAX_SEED))
    assert _refusal(greatest) == (Field.SEED, None, too_large)
    assert prepare_job(_with_segments(greatest, seed=1), _FIVE).settings.seed == MAX_SEED
    divided = replace(greatest, prompt=_STAGES, segments=(), video=VideoSpec(frame_count=21))
    assert _refusal(divided) == (Field.SEED, None, too_large)
    first = (SegmentSpec("a cat jumps", 1), SegmentSpec("a cat runs"))
    assert _refusal(replace(chain, segments=first)) == (
        Field.SEGMENT_FRAME_COUNT,
        0,
        "is 1; the next segment repeats 5 frames, so send at least that many",
    )


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
    field, segment, told = _refusal(replace(chain, video=VideoSpec(frame_count=frame_count)))
    assert (field, segment) == (Field.FRAME_COUNT, None)
    assert told.startswith(description)
    as_seconds = _refusal(replace(chain, video=VideoSpec(seconds=frame_count / 8)))
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
    assert _refusal(replace(job, video=VideoSpec(seconds=seconds))) == (Field.SECONDS, None, description)


def test_seconds_that_no_compiled_length_has(job: Job) -> None:
    with pytest.raises(NotCompiled) as refused:
        prepare_job(replace(job, video=VideoSpec(seconds=1.6)), _FIVE)
    assert refused.value.violation.field is Field.SECONDS
    assert refused.value.violation.description == (
        "is 1.6, that is 13 frames; this server was compiled for 9, 17 frames, that is 1.125, 2.125 s"
    )


def test_lengths_of_segments_that_were_not_compiled(chain: Job) -> None:
    with pytest.raises(NotCompiled) as refused:
        prepare_job(_with_segments(chain, frame_count=13), _FIVE)
    description = "is 13; this server was compiled for 9, 17 frames"
    assert refused.value.violation == Violation(Field.SEGMENT_FRAME_COUNT, description, 1)
    with pytest.raises(NotCompiled, match="asks for 48x32; this server was compiled for 32x32 at 9, 17 frames"):
        prepare_job(replace(_with_segments(chain, frame_count=17), video=VideoSpec(48, 32)), _FIVE)
    apart = replace(_FIVE, geometries=(Geometry(32, 32, 9), Geometry(48, 32, 17)))
    with pytest.raises(NotCompiled, match="segments: have 9, 17 frames, and no size was compiled for all of these"):
        prepare_job(_with_segments(chain, frame_count=17), apart)


def test_everything_that_is_wrong_is_said_at_once(chain: Job) -> None:
    wrong = SegmentSpec(" ", 10, -1, math.inf, 0.0)
    job = replace(
        chain, prompt="a cat", video=VideoSpec(frame_count=10, seconds=-1.0), segments=(*chain.segments, wrong)
    )
    assert {(item.field, item.segment) for item in _violations(job)} == {
        (Field.PROMPT, None),
        (Field.FRAME_COUNT, None),
        (Field.SECONDS, None),
        (Field.SEGMENT_PROMPT, 2),
        (Field.SEGMENT_FRAME_COUNT, 2),
        (Field.SEGMENT_SEED, 2),
        (Field.SEGMENT_GUIDANCE_SCALE, 2),
        (Field.SEGMENT_GUIDANCE_SCALE_LOW_NOISE, 2),
    }
    both = _violations(replace(chain, video=VideoSpec(frame_count=13, seconds=2.0)))
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
        assert [item.field for item in _violations(refused)] == [field]
    assert time.perf_counter() - began < 1.0


def test_the_sentences_of_segments_are_judged(job: Job) -> None:
    segments = (
        SegmentSpec("A man walks out of the picture"),
        SegmentSpec("A man in the rain sits down, then stands up"),
        SegmentSpec("a white cat on a sofa"),
        SegmentSpec("一个男人向镜头挥手"),
        SegmentSpec("一个男人向镜头挥手"),
    )
    warned = prepare_job(replace(job, prompt="", negative_prompt="blurred, rain", segments=segments), _FIVE).warnings
    assert [warning.partition(";")[0] for warning in warned] == [
        "segment 2: “rain” is in the negative prompt too. Remove it from one of the two.",
        "segment 2: its sentence tells 2 stages in order",
        "segment 3: The prompt has no motion",
        "segment 1: its subject leaves the picture (“out of the picture”), so that segment 2 begins without it",
    ]


def test_warnings_of_the_whole_clip_come_once(job: Job, png: Callable[..., bytes]) -> None:
    small = replace(job, image=Image(png(21, 21)), sampling=SamplingSpec(guidance_scale=9.0))
    warnings = prepare_job(replace(small, video=VideoSpec(frame_count=37)), _FIVE).warnings
    assert [warning.split(" ", 1)[0] for warning in warnings] == ["guidance_scale", "the"]


def test_the_crop_follows_the_subject_of_the_first_segment(job: Job) -> None:
    asked: list[str] = []

    def score(image: Image, prompt: str) -> MatchReport:
        asked.append(prompt)
        raise KeyError

    video = VideoSpec(frame_count=37, picture_fit=PictureFit.CROP_SUBJECT)
    with pytest.raises(KeyError):
        prepare_job(replace(job, video=video), _FIVE, score)
    assert asked == ["A woman in a red coat looks up, soft light."]


def test_a_pair_for_a_chain_is_scored_for_its_first_segment(job: Job) -> None:
    _, settings = prepare_score_request(job.image, _STAGES, ClipPlan(VideoSpec(seconds=4.6)), _FIVE)
    assert settings.geometry == Geometry(32, 32, 17)
