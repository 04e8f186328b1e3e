"""Attempts over a real socket: exact streams, the clip that is delivered, video files, metrics."""

from __future__ import annotations

import io
from threading import Semaphore

import pytest
from PIL import Image

from engine.testing.fake_engine import FakeEngine
from stillcue.v1 import attempts_pb2, generate_pb2, match_pb2, media_pb2
from tests.attempting import ACCEPTED, ALL, attempts_request, expected_attempts, numbers_grow
from tests.fake_job import GRAPH_CALL_COUNT, GRAPH_CALLS, expected_stream, without_clocks
from tests.serving import PROMPT, generate_request, kinds, read_all, served
from tests.video_files import decode, file_of

FRAMES = pytest.mark.parametrize("frames", [ALL, ACCEPTED], ids=["all", "accepted"])


@FRAMES
async def test_no_attempt_follows_an_accepted_one(frames: attempts_pb2.AttemptFrames) -> None:
    engine = FakeEngine()
    request = attempts_request(5, 3, frames)
    async with served(engine) as server:
        messages = await read_all(server.stub.Generate(request))
    assert without_clocks(messages) == expected_attempts(request, [True], 1, attempts_pb2.ATTEMPTS_END_ACCEPTED)
    assert numbers_grow(messages)
    assert engine.graph_calls == GRAPH_CALLS


@FRAMES
async def test_the_third_attempt_is_accepted(frames: attempts_pb2.AttemptFrames) -> None:
    engine = FakeEngine()
    request = attempts_request(3, 8, frames)  # seeds 3, 4, 5
    async with served(engine) as server:
        messages = await read_all(server.stub.Generate(request))
    expected = expected_attempts(request, [False, False, True], 3, attempts_pb2.ATTEMPTS_END_ACCEPTED)
    assert without_clocks(messages) == expected
    assert numbers_grow(messages)
    assert engine.graph_calls == GRAPH_CALLS * 3


@FRAMES
@pytest.mark.parametrize(("seed", "delivered"), [(0, 3), (9, 1), (18, 2)])  # 0 .1 .2; .9 0 .1; .8 .9 0
async def test_the_best_clip_is_delivered_where_none_is_accepted(
    frames: attempts_pb2.AttemptFrames, seed: int, delivered: int
) -> None:
    request = attempts_request(seed, 3, frames, accept=0.95)
    async with served(FakeEngine()) as server:
        messages = await read_all(server.stub.Generate(request))
    end = attempts_pb2.ATTEMPTS_END_MAXIMUM_COUNT
    assert without_clocks(messages) == expected_attempts(request, [False] * 3, delivered, end)


async def test_an_accept_of_0_takes_any_clip() -> None:
    request = attempts_request(0, 2, accept=0.0)
    async with served(FakeEngine()) as server:
        messages = await read_all(server.stub.Generate(request))
    assert without_clocks(messages) == expected_attempts(request, [True], 1, attempts_pb2.ATTEMPTS_END_ACCEPTED)


@pytest.mark.parametrize("maximum_count", [0, 1])
async def test_one_attempt_is_a_job_as_ever(maximum_count: int) -> None:
    request = attempts_request(3, maximum_count, ACCEPTED, accept=0.9)
    async with served(FakeEngine()) as server:
        messages = await read_all(server.stub.Generate(request))
    assert without_clocks(messages) == expected_stream(3)


async def test_previews_of_every_attempt_come_while_frames_are_held_back() -> None:
    gate = Semaphore(GRAPH_CALL_COUNT + 5)
    request = attempts_request(4, 2, ACCEPTED)
    request.stream.preview_every_step_count = 2
    async with served(FakeEngine(gate=gate)) as server:
        call = server.stub.Generate(request)
        early = [await anext(aiter(call)) for _ in range(19)]
        assert kinds(early)[10:12] == ["stage_started", "attempt_ended"]
        previews = [item.attempt for item in early if item.denoise_progress.HasField("preview")]
        assert previews == [1, 1, 2]
        gate.release(GRAPH_CALL_COUNT)
        late = await read_all(call)
    assert kinds(late)[-11:] == ["attempt_ended", *["frame"] * 9, "summary"]
    assert {message.attempt for message in late[:-1]} == {2}
    assert late[-1].attempt == 0


async def test_held_frames_come_in_order_though_they_are_encoded_on_threads() -> None:
    request = attempts_request(9, 2, ACCEPTED, accept=0.95)
    request.stream.frame_encoding = media_pb2.FRAME_ENCODING_PNG
    async with served(FakeEngine()) as server:
        messages = await read_all(server.stub.Generate(request))
    frames = [message.frame for message in messages if message.HasField("frame")]
    colours = [Image.open(io.BytesIO(frame.data)).getpixel((0, 0)) for frame in frames]
    assert colours == [(9 + index, index, len(PROMPT)) for index in range(9)]
    assert {message.attempt for message in messages if message.HasField("frame")} == {1}


@FRAMES
@pytest.mark.parametrize("omits_frames", [False, True])
async def test_each_attempt_has_a_video_file_of_its_own(frames: attempts_pb2.AttemptFrames, omits_frames: bool) -> None:
    request = attempts_request(4, 2, frames)
    request.stream.video_container = media_pb2.VIDEO_CONTAINER_FRAGMENTED_MP4
    request.stream.omit_frames = omits_frames
    single = generate_request(sampling=generate_pb2.SamplingSpec(seed=5), stream=request.stream)
    async with served(FakeEngine()) as server:
        messages = await read_all(server.stub.Generate(request))
        alone = await read_all(server.stub.Generate(single))
    shown = [1, 2] if frames == ALL else [2]
    for number in shown:
        of_attempt = [message for message in messages if message.attempt == number]
        chunks = [message.video_chunk for message in of_attempt if message.HasField("video_chunk")]
        assert [(chunk.index, chunk.frame_count) for chunk in chunks] == [(0, 1), (1, 4), (2, 4)]
        assert chunks[0].media_type.startswith("video/mp4")
        assert len(decode(file_of(of_attempt)).frames) == 9
    assert {message.attempt for message in messages if message.HasField("video_chunk")} == set(shown)
    assert file_of([message for message in messages if message.attempt == 2]) == file_of(alone)
    assert ("frame" in kinds(messages)) != omits_frames
    if frames == ACCEPTED:
        group = (["frame"] * 4 if not omits_frames else []) + ["video_chunk"]
        first = ["frame", "video_chunk"] if not omits_frames else ["video_chunk"]
        released = [*first, *group, *group, "summary"]
        assert kinds(messages)[-len(released) - 1 :] == ["attempt_ended", *released]


async def test_without_a_policy_nothing_is_judged() -> None:
    match = match_pb2.MatchPolicy(mode=match_pb2.MATCH_MODE_OFF)
    async with served(FakeEngine()) as server:
        summary = (await read_all(server.stub.Generate(generate_request(match=match))))[-1].summary
    assert not summary.HasField("success")


async def test_metrics_count_attempts_and_one_job() -> None:
    async with served(FakeEngine()) as server:
        await read_all(server.stub.Generate(attempts_request(3, 8)))
        await read_all(server.stub.Generate(attempts_request(0, 2)))
        await read_all(server.stub.Generate(generate_request()))
        samples = await server.samples()
    counted = {
        "stillcue_attempts_total{outcome=accepted}": 1,
        "stillcue_attempts_total{outcome=rejected}": 4,
        "stillcue_attempts_stopped_total{reason=accepted}": 1,
        "stillcue_attempts_stopped_total{reason=maximum_count}": 1,
        "stillcue_attempts_stopped_total{reason=deadline}": 0,
        "stillcue_attempts_stopped_total{reason=quota}": 0,
        "stillcue_attempts_stopped_total{reason=draining}": 0,
        "stillcue_clip_success_count": 6,
        "stillcue_jobs_total{outcome=completed}": 3,
        "stillcue_running_jobs": 0,
        "stillcue_job_queue_seconds_count": 3,
        "stillcue_match_score_count": 3,
        "stillcue_time_to_first_frame_seconds_count": 3,
        "stillcue_frame_interval_seconds_count": 6 * 8,
        "stillcue_stage_seconds_count{stage=denoise}": 6,
    }
    assert {name: samples[name] for name in counted} == counted
    assert samples["stillcue_clip_success_sum"] == pytest.approx(0.3 + 0.4 + 0.5 + 0.0 + 0.1 + 0.7)
