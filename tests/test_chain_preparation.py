"""Long clips are prepared as chains: lengths, sentences, seeds and settings of their segments, and warnings."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from engine.api.capabilities import Geometry
from engine.api.chain import SegmentSpec
from engine.api.errors import NotCompiled
from engine.api.fields import Field
from engine.api.job import ClipPlan, Job, PictureFit, PreparedJob, SamplingSpec, VideoSpec
from engine.api.match_report import MatchReport
from engine.api.media import Box, Image
from engine.preparation.chain_lengths import chain_frame_count, fewest_computed
from engine.preparation.job import prepare_job
from engine.preparation.score_request import prepare_score_request
from tests.preparing_chains import FIVE, ONE, refusal, with_segments

_STAGES = "A woman in a red coat first looks up, then smiles, then waves, soft light"


@pytest.fixture
def job(png: Callable[..., bytes]) -> Job:
    return Job(Image(png(64, 64)), _STAGES, sampling=SamplingSpec(seed=7))


@pytest.fixture
def chain(job: Job) -> Job:
    return replace(job, prompt="", segments=(SegmentSpec("a cat jumps"), SegmentSpec("a cat runs away")))


def _lengths(prepared: PreparedJob) -> list[tuple[int, int, int, int]]:
    """Compiled frames, first frame, new frames and given frames of each segment."""
    return [
        (item.settings.frame_count, item.first_frame_index, item.new_frame_count, item.given_frame_count)
        for item in prepared.segments
    ]


def test_a_long_clip_is_divided_by_the_stages_of_its_sentence(job: Job) -> None:
    prepared = prepare_job(replace(job, video=VideoSpec(frame_count=37)), FIVE)
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
    prepared = prepare_job(replace(job, video=VideoSpec(frame_count=17)), FIVE)
    assert (prepared.segments, prepared.prompt, prepared.settings.frame_count) == ((), _STAGES, 17)


def test_later_segments_begin_from_the_whole_frame(job: Job, png: Callable[..., bytes]) -> None:
    wide = replace(job, image=Image(png(100, 40)), video=VideoSpec(32, 32, 33))
    prepared = prepare_job(wide, ONE)
    assert [segment.settings.crop for segment in prepared.segments] == [Box(30, 0, 40, 40), Box(0, 0, 32, 32)]
    assert prepared.settings.crop == Box(30, 0, 40, 40)


@pytest.mark.parametrize(("seconds", "frame_count"), [(4.6, 37), (4.875, 41), (1.0, 9), (2.2, 17), (0.01, 1)])
def test_seconds_stand_for_the_nearest_frame_count(job: Job, seconds: float, frame_count: int) -> None:
    capabilities = replace(FIVE, geometries=(*FIVE.geometries, Geometry(32, 32, 1)))
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
    limits = replace(ONE.limits, max_segment_count=4)
    longest = replace(ONE, given_frame_count=given, limits=limits).longest_chain(lengths)
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
    assert prepare_job(replace(wide, video=VideoSpec(frame_count=33)), FIVE).settings.width_px == 48
    long = replace(FIVE, limits=replace(FIVE.limits, max_segment_count=3))  # 48x32 reaches 17 frames, 32x32 41
    assert prepare_job(replace(wide, video=VideoSpec(frame_count=33)), long).settings.width_px == 32
    with pytest.raises(NotCompiled, match="asks for 48x32; this server was compiled for 32x32 at 33 frames"):
        prepare_job(replace(wide, video=VideoSpec(48, 32, 33)), long)
    assert _lengths(prepare_job(replace(wide, video=VideoSpec(48, 32, 17)), FIVE)) == [
        (9, 0, 9, 0),
        (9, 9, 4, 5),
        (9, 13, 4, 5),
    ]


def test_a_last_segment_of_a_few_frames_is_warned_of(job: Job) -> None:
    capabilities = replace(FIVE, geometries=(Geometry(32, 32, 81),))
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
    prepared = prepare_job(replace(job, prompt=prompt, video=VideoSpec(frame_count=37)), FIVE)
    assert prepared.warnings == (warning,)


def test_segments_have_the_sentences_seeds_and_guidance_that_are_given(job: Job) -> None:
    segments = (
        SegmentSpec("a cat jumps", 9),
        SegmentSpec("a cat runs", 17, seed=3, guidance_scale=2.0),
        SegmentSpec("a cat sleeps", guidance_scale_low_noise=4.0),
    )
    given = replace(job, prompt=" ", segments=segments, sampling=SamplingSpec(seed=7, guidance_scale=5.0))
    prepared = prepare_job(given, FIVE)
    assert prepared.prompt == "a cat jumps"
    assert [segment.prompt for segment in prepared.segments] == ["a cat jumps", "a cat runs", "a cat sleeps"]
    assert _lengths(prepared) == [(9, 0, 9, 0), (17, 9, 12, 5), (9, 21, 4, 5)]
    settings = [segment.settings for segment in prepared.segments]
    assert [item.seed for item in settings] == [7, 3, 9]
    assert [item.guidance_scale for item in settings] == [5.0, 2.0, 5.0]
    assert [item.guidance_scale_low_noise for item in settings] == [5.0, 2.0, 4.0]
    assert prepared.settings == replace(settings[0], frame_count=25)


def test_the_length_of_the_clip_cuts_its_last_segment(chain: Job) -> None:
    assert _lengths(prepare_job(replace(chain, video=VideoSpec(frame_count=13)), ONE))[-1] == (9, 9, 4, 1)
    assert _lengths(prepare_job(replace(chain, video=VideoSpec(seconds=2.0)), ONE))[-1] == (9, 9, 8, 1)


def test_one_segment_is_a_plain_clip(job: Job) -> None:
    alone = replace(job, prompt="", segments=(SegmentSpec("a cat jumps", 17, 3, 2.0),))
    prepared = prepare_job(alone, FIVE)
    assert (prepared.segments, prepared.prompt) == ((), "a cat jumps")
    settings = prepared.settings
    assert (settings.frame_count, settings.seed, settings.guidance_scale) == (17, 3, 2.0)
    assert prepare_job(replace(alone, video=VideoSpec(frame_count=17)), FIVE) is not None
    open_length = with_segments(alone, frame_count=0)
    assert prepare_job(replace(open_length, video=VideoSpec(frame_count=17)), FIVE).settings.frame_count == 17
    assert refusal(replace(alone, video=VideoSpec(frame_count=9))) == (
        Field.FRAME_COUNT,
        None,
        "is 9; the segment has 17: leave this length out",
    )
    assert refusal(replace(open_length, video=VideoSpec(frame_count=33))) == (
        Field.FRAME_COUNT,
        None,
        "is 33; the segment has 9: send 6 more segments of the default length, or ask for fewer frames",
    )


def test_the_sentences_of_segments_are_judged(job: Job) -> None:
    segments = (
        SegmentSpec("A man walks out of the picture"),
        SegmentSpec("A man in the rain sits down, then stands up"),
        SegmentSpec("a white cat on a sofa"),
        SegmentSpec("一个男人向镜头挥手"),
        SegmentSpec("一个男人向镜头挥手"),
    )
    warned = prepare_job(replace(job, prompt="", negative_prompt="blurred, rain", segments=segments), FIVE).warnings
    assert [warning.partition(";")[0] for warning in warned] == [
        "segment 2: “rain” is in the negative prompt too. Remove it from one of the two.",
        "segment 2: its sentence tells 2 stages in order",
        "segment 3: The prompt has no motion",
        "segment 1: its subject leaves the picture (“out of the picture”), so that segment 2 begins without it",
    ]


def test_warnings_of_the_whole_clip_come_once(job: Job, png: Callable[..., bytes]) -> None:
    small = replace(job, image=Image(png(21, 21)), sampling=SamplingSpec(guidance_scale=9.0))
    warnings = prepare_job(replace(small, video=VideoSpec(frame_count=37)), FIVE).warnings
    assert [warning.split(" ", 1)[0] for warning in warnings] == ["guidance_scale", "the"]


def test_the_crop_follows_the_subject_of_the_first_segment(job: Job) -> None:
    asked: list[str] = []

    def score(image: Image, prompt: str) -> MatchReport:
        asked.append(prompt)
        raise KeyError

    video = VideoSpec(frame_count=37, picture_fit=PictureFit.CROP_SUBJECT)
    with pytest.raises(KeyError):
        prepare_job(replace(job, video=video), FIVE, score)
    assert asked == ["A woman in a red coat looks up, soft light."]


def test_a_pair_for_a_chain_is_scored_for_its_first_segment(job: Job) -> None:
    _, settings = prepare_score_request(job.image, _STAGES, ClipPlan(VideoSpec(seconds=4.6)), FIVE)
    assert settings.geometry == Geometry(32, 32, 17)
