"""Chains over a real socket: the exact stream, the summary, stops, previews, videos, wrong segments."""

from __future__ import annotations

import time
from typing import Any

import grpc
import pytest

from engine.testing.fake_engine import FakeEngine
from stillcue.v1 import attempts_pb2, generate_pb2, match_pb2, media_pb2, segments_pb2
from tests.attempting import numbers_grow
from tests.chaining import (
    CHAIN_CALLS,
    CHAIN_EVENT_COUNT,
    SENTENCES,
    brief,
    chain_request,
    chain_settings,
    expected_chain,
    segment_result,
    segment_stream,
)
from tests.fake_job import expected_stream, without_clocks
from tests.serving import PROMPT, failure_of, generate_request, kinds, read_all, reason, served, violations
from tests.video_files import decode, file_of

MP4 = media_pb2.VIDEO_CONTAINER_FRAGMENTED_MP4
SegmentSpec = segments_pb2.SegmentSpec


async def test_the_whole_stream_is_exact() -> None:
    engine = FakeEngine()
    async with served(engine) as server:
        messages = await read_all(server.stub.Generate(chain_request()))
    assert brief(messages) == expected_chain()
    assert numbers_grow(messages)
    assert len(messages) == CHAIN_EVENT_COUNT
    assert engine.graph_calls == CHAIN_CALLS


async def test_seed_guidance_and_length_of_each_segment_reach_the_engine() -> None:
    segments = [
        SegmentSpec(prompt=SENTENCES[0], frame_count=17, guidance_scale=2.0),
        SegmentSpec(prompt=SENTENCES[1], seed=0, guidance_scale_low_noise=4.0),
    ]
    video = generate_pb2.VideoSpec(frame_count=21)
    request = chain_request(segments=segments, video=video, sampling={"seed": 100})
    async with served(FakeEngine()) as server:
        messages = await read_all(server.stub.Generate(request))
    settings = messages[0].accepted.settings
    assert settings.frame_count == 21
    assert (settings.seed, settings.guidance_scale) == (100, 2.0)
    shown = [
        (item.first_frame_index, item.frame_count, item.compiled_frame_count, item.seed, item.guidance_scale)
        for item in settings.segments
    ]
    assert shown == [(0, 17, 17, 100, 2.0), (17, 4, 9, 0, 3.5)]
    assert [item.guidance_scale_low_noise for item in settings.segments] == [2.0, 4.0]
    assert messages[-1].summary.settings == settings
    reds = [message.frame.data[0] for message in messages if message.HasField("frame")]
    assert reds == [*(100 + index for index in range(17)), *range(17, 21)]


async def test_a_sentence_is_divided_where_the_clip_is_longer_than_the_longest_length() -> None:
    prompt = "a red fox runs, then it sits down"
    async with served(FakeEngine()) as server:
        for video in (generate_pb2.VideoSpec(frame_count=25), generate_pb2.VideoSpec(seconds=3.0)):
            messages = await read_all(server.stub.Generate(generate_request(prompt=prompt, video=video)))
            settings = messages[0].accepted.settings
            assert settings.frame_count == 25  # 24 is not 4n + 1
            assert sum(item.frame_count for item in settings.segments) == 25
            assert len(settings.segments) == messages[1].segment_started.segment_count == 2
            assert [message.frame.index for message in messages if message.HasField("frame")] == list(range(25))


async def test_one_segment_is_a_clip_as_ever() -> None:
    async with served(FakeEngine()) as server:
        messages = await read_all(server.stub.Generate(chain_request(PROMPT)))
    assert without_clocks(messages) == expected_stream()


async def test_a_later_sentence_that_matches_too_little_ends_the_chain_with_ok() -> None:
    strict = match_pb2.MatchPolicy(mode=match_pb2.MATCH_MODE_REQUIRE, minimum_score=55)
    engine = FakeEngine()
    async with served(engine) as server:
        call = server.stub.Generate(chain_request(match=strict))
        messages = await read_all(call)
        assert await call.code() is grpc.StatusCode.OK
        assert await server.sample("stillcue_jobs_total{outcome=completed}") == 1
    plain, expected = brief(messages), expected_chain()
    assert plain[:-1] == [*expected[:22], *segment_stream(2, 8)[:3]]
    summary = plain[-1].summary
    assert summary.chain_stop == segments_pb2.ChainStop(
        segment=2, match_report=match_pb2.MatchReport(score=50.0), minimum_score=55.0
    )
    assert list(summary.segments) == [segment_result(1, 7)]
    assert summary.settings == chain_settings()
    assert [item.frame_index for item in summary.frame_matches] == [0, 8]
    assert engine.graph_calls == [*CHAIN_CALLS[:10], "match"]


async def test_a_first_sentence_that_matches_too_little_refuses_the_job() -> None:
    strict = match_pb2.MatchPolicy(mode=match_pb2.MATCH_MODE_REQUIRE, minimum_score=65)
    async with served(FakeEngine()) as server:
        error = await failure_of(server.stub.Generate(chain_request(match=strict)))
    assert reason(error) == "MATCH_REFUSED"


async def test_previews_come_in_every_segment() -> None:
    stream = generate_pb2.StreamSpec(preview_every_step_count=2)
    async with served(FakeEngine()) as server:
        messages = await read_all(server.stub.Generate(chain_request(stream=stream)))
    previews = [message.segment for message in messages if message.denoise_progress.HasField("preview")]
    assert previews == [1, 1, 2, 2, 3, 3]


async def test_one_video_file_holds_the_whole_chain() -> None:
    stream = generate_pb2.StreamSpec(video_container=MP4)
    async with served(FakeEngine()) as server:
        messages = await read_all(server.stub.Generate(chain_request(stream=stream)))
    chunks = [message for message in messages if message.HasField("video_chunk")]
    assert [(chunk.segment, chunk.video_chunk.frame_count) for chunk in chunks] == [
        (1, 1),
        (1, 4),
        (1, 4),
        (2, 4),
        (3, 4),
    ]
    assert [bool(chunk.video_chunk.media_type) for chunk in chunks] == [True, False, False, False, False]
    assert len(decode(file_of(messages)).frames) == 17


@pytest.mark.parametrize("frames", [attempts_pb2.ATTEMPT_FRAMES_ALL, attempts_pb2.ATTEMPT_FRAMES_ACCEPTED])
async def test_an_attempt_is_a_whole_chain(frames: attempts_pb2.AttemptFrames) -> None:
    """Seeds 3, 4, 5 fail, since the worst segment counts; so do 4, 5, 6; seeds 5, 6, 7 are accepted."""
    attempts = attempts_pb2.Attempts(maximum_count=4, frames=frames)
    engine = FakeEngine()
    async with served(engine) as server:
        messages = await read_all(server.stub.Generate(chain_request(sampling={"seed": 3}, attempts=attempts)))
        assert await server.sample("stillcue_chains_total{outcome=complete}") == 3
    summary = messages[-1].summary
    assert [(item.seed, item.accepted) for item in summary.attempts] == [(3, False), (4, False), (5, True)]
    assert summary.settings == chain_settings((5, 6, 7))
    assert summary.success.probability == 0.5
    assert summary.work_duration.seconds == 3 * 13
    assert engine.graph_calls == CHAIN_CALLS * 3
    ends = [message.segment for message in messages if message.HasField("attempt_ended")]
    assert ends == [0, 0, 0]
    shown = [(item.attempt, item.segment, item.frame.index) for item in messages if item.HasField("frame")]
    of_clip = [(segment, index) for index, segment in enumerate([1] * 9 + [2] * 4 + [3] * 4)]
    told = [3] if frames == attempts_pb2.ATTEMPT_FRAMES_ACCEPTED else [1, 2, 3]
    assert shown == [(attempt, *place) for attempt in told for place in of_clip]


@pytest.mark.parametrize(
    ("segments", "paths"),
    [
        ([{"prompt": PROMPT}, {"prompt": " "}], ["segments[1].prompt"]),
        ([{"prompt": PROMPT, "seed": -1}, {"prompt": PROMPT, "guidance_scale": -2.0}], ["segments[0].seed"]),
        ([{"prompt": PROMPT}] * 2 + [{"prompt": PROMPT, "frame_count": 5}], ["segments[2].frame_count"]),
        ([{"prompt": PROMPT}] * 13, ["segments"]),
    ],
)
async def test_wrong_segments_are_named_by_their_paths(segments: list[dict[str, Any]], paths: list[str]) -> None:
    async with served(FakeEngine()) as server:
        error = await failure_of(server.stub.Generate(chain_request(segments=segments)))
    assert reason(error) == "INVALID_JOB"
    found = [path for path, _ in violations(error)]
    assert found[: len(paths)] == paths


async def test_a_length_that_no_segment_was_compiled_for_is_named_by_its_path() -> None:
    segments = [SegmentSpec(prompt=PROMPT), SegmentSpec(prompt=PROMPT, frame_count=13)]
    async with served(FakeEngine()) as server:
        error = await failure_of(server.stub.Generate(chain_request(segments=segments)))
    assert reason(error) == "NOT_COMPILED"
    assert [path for path, _ in violations(error)] == ["segments[1].frame_count"]


async def test_seeds_of_attempts_stay_below_the_largest() -> None:
    attempts = attempts_pb2.Attempts(maximum_count=3)
    segments = [SegmentSpec(prompt=PROMPT), SegmentSpec(prompt=PROMPT, seed=2**63 - 2)]
    async with served(FakeEngine()) as server:
        own = await failure_of(server.stub.Generate(chain_request(segments=segments, attempts=attempts)))
        counted = chain_request(sampling={"seed": 2**63 - 4}, attempts=attempts)
        followed = await failure_of(server.stub.Generate(counted))
    told = "and each attempt adds 1 to it; for 3 attempts send at most"
    assert violations(own) == [("segments[1].seed", f"is {2**63 - 2}, {told} {2**63 - 3}")]
    assert violations(followed) == [("sampling.seed", f"is {2**63 - 4}, {told} {2**63 - 5}")]


@pytest.mark.parametrize(
    "segments",
    [
        [{"prompt": "a"}] * 10_000,
        [{}] * 10_000,
        [{"prompt": "a " * 250_000}],
        [{"prompt": "fox " * 10_000, "frame_count": -(2**31), "seed": -(2**63), "guidance_scale": float("nan")}] * 12,
    ],
    ids=["many", "empty", "long", "all wrong"],
)
async def test_hostile_segments_are_refused_in_time(segments: list[dict[str, Any]]) -> None:
    async with served(FakeEngine()) as server:
        request = chain_request(segments=segments)
        began_at = time.perf_counter()
        error = await failure_of(server.stub.Generate(request))
        assert time.perf_counter() - began_at < 2.0
        assert kinds(await read_all(server.stub.Generate(generate_request())))[-1] == "summary"
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert reason(error) == "INVALID_JOB"
