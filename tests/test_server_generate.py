"""The exact stream of a Generate call."""

from __future__ import annotations

import asyncio
import io
from threading import Semaphore

import pytest
from PIL import Image

from engine.testing.fake_engine import FakeEngine
from stillcue.v1 import generate_pb2, match_pb2, media_pb2
from tests.fake_job import GRAPH_CALL_COUNT, GRAPH_CALLS, STAGES, expected_stream, without_clocks
from tests.serving import PROMPT, eventually, generate_request, kinds, read_all, served


async def test_the_whole_stream_is_exact() -> None:
    engine = FakeEngine()
    async with served(engine) as server:
        messages = await read_all(server.stub.Generate(generate_request()))
    assert without_clocks(messages) == expected_stream()
    assert [message.sequence_number for message in messages] == list(range(21))
    elapsed = [message.elapsed.ToNanoseconds() for message in messages]
    assert elapsed == sorted(elapsed)
    assert elapsed[0] > 0
    assert messages[-1].summary.HasField("queue_duration")
    assert engine.graph_calls == GRAPH_CALLS


async def test_a_subject_is_cut_out_where_the_scorer_finds_it() -> None:
    """The fake finds it in the middle, and proposes the largest window there."""
    fit = generate_pb2.VideoSpec(width_px=48, height_px=32, picture_fit=media_pb2.PICTURE_FIT_CROP_SUBJECT)
    async with served(FakeEngine()) as server:
        messages = await read_all(server.stub.Generate(generate_request(video=fit)))
    settings = messages[0].accepted.settings
    assert settings.picture_fit == media_pb2.PICTURE_FIT_CROP_SUBJECT
    assert settings.crop == media_pb2.Box(left_px=0, top_px=5, width_px=32, height_px=21)
    # Found at (12, 8, 24, 16) of the clip's 48x32, told in pixels of the file.
    report = messages[2].match_report
    assert report.grounding.box == media_pb2.Box(left_px=8, top_px=10, width_px=16, height_px=11)


async def test_a_restarted_server_gives_the_same_bytes() -> None:
    streams = []
    for _ in range(2):
        async with served(FakeEngine()) as server:
            streams.append(without_clocks(await read_all(server.stub.Generate(generate_request()))))
    assert streams[0] == streams[1]


async def test_the_first_frame_leaves_before_the_second_latent_frame_is_decoded() -> None:
    gate = Semaphore(GRAPH_CALLS.index("decode 0") + 1)
    engine = FakeEngine(gate=gate)
    async with served(engine) as server:
        call = server.stub.Generate(generate_request())
        messages = [await anext(aiter(call)) for _ in range(12)]
        assert kinds(messages)[-1] == "frame"
        assert engine.graph_calls[-1] == "decode 0"
        gate.release(2)
        assert kinds(await read_all(call)) == ["frame"] * 8 + ["summary"]


async def test_previews_come_as_often_as_asked() -> None:
    stream = generate_pb2.StreamSpec(preview_every_step_count=2)
    async with served(FakeEngine()) as server:
        messages = await read_all(server.stub.Generate(generate_request(stream=stream)))
    steps = [message.denoise_progress for message in messages if message.HasField("denoise_progress")]
    assert [step.HasField("preview") for step in steps] == [False, True, False, True]
    preview = steps[1].preview
    assert (preview.width_px, preview.height_px) == (4, 4)
    picture = Image.open(io.BytesIO(preview.data))
    assert (picture.format, picture.size, picture.getpixel((0, 0))) == ("JPEG", (4, 4), (2, 2, 2))


@pytest.mark.parametrize(
    ("asked", "answered", "file_format"),
    [
        (media_pb2.FRAME_ENCODING_UNSPECIFIED, media_pb2.FRAME_ENCODING_PNG, "PNG"),
        (media_pb2.FRAME_ENCODING_PNG, media_pb2.FRAME_ENCODING_PNG, "PNG"),
        (media_pb2.FRAME_ENCODING_JPEG, media_pb2.FRAME_ENCODING_JPEG, "JPEG"),
        (media_pb2.FRAME_ENCODING_WEBP, media_pb2.FRAME_ENCODING_WEBP, "WEBP"),
    ],
)
async def test_frames_come_in_order_in_the_encoding_that_was_asked_for(
    asked: media_pb2.FrameEncoding, answered: media_pb2.FrameEncoding, file_format: str
) -> None:
    request = generate_request()
    request.stream.frame_encoding = asked
    async with served(FakeEngine()) as server:
        messages = await read_all(server.stub.Generate(request))
    frames = [message.frame for message in messages if message.HasField("frame")]
    assert [frame.index for frame in frames] == list(range(9))
    assert {frame.encoding for frame in frames} == {answered}
    pictures = [Image.open(io.BytesIO(frame.data)) for frame in frames]
    assert {picture.format for picture in pictures} == {file_format}
    if file_format == "PNG":
        assert [picture.getpixel((31, 31)) for picture in pictures] == [(7 + n, n, len(PROMPT)) for n in range(9)]


async def test_every_setting_of_the_request_reaches_the_engine() -> None:
    request = generate_request(
        negative_prompt="",
        video=generate_pb2.VideoSpec(
            width_px=48, height_px=32, frame_count=9, frame_rate=24.0, picture_fit=media_pb2.PICTURE_FIT_PAD
        ),
        sampling=generate_pb2.SamplingSpec(
            step_count=12,
            guidance_scale=1.0,
            guidance_scale_low_noise=2.0,
            seed=0,
            shift=3.0,
            step_reuse=generate_pb2.STEP_REUSE_FAST,
        ),
        match=match_pb2.MatchPolicy(mode=match_pb2.MATCH_MODE_OFF),
    )
    async with served(FakeEngine()) as server:
        messages = await read_all(server.stub.Generate(request))
    assert messages[0].accepted.settings == generate_pb2.GenerateSettings(
        width_px=48,
        height_px=32,
        frame_count=9,
        frame_rate=24.0,
        step_count=12,
        guidance_scale=1.0,
        guidance_scale_low_noise=2.0,
        seed=0,
        shift=3.0,
        negative_prompt="",
        crop=media_pb2.Box(left_px=0, top_px=0, width_px=32, height_px=32),
        picture_fit=media_pb2.PICTURE_FIT_PAD,
        step_reuse=generate_pb2.STEP_REUSE_FAST,
    )
    assert "match_report" not in kinds(messages)
    assert not messages[-1].summary.HasField("match_report")
    assert [timing.stage for timing in messages[-1].summary.stage_timings] == list(STAGES[1:])


async def test_warnings_come_with_accepted_and_with_the_summary() -> None:
    sampling = generate_pb2.SamplingSpec(guidance_scale=20.0)
    async with served(FakeEngine()) as server:
        messages = await read_all(server.stub.Generate(generate_request(sampling=sampling)))
    warnings = list(messages[0].accepted.warnings)
    assert len(warnings) == 1
    assert warnings[0].startswith("guidance_scale 20 is far above")
    assert list(messages[-1].summary.warnings) == warnings


async def test_the_server_makes_a_request_id_where_there_is_none() -> None:
    request = generate_request()
    request.request_id = ""
    async with served(FakeEngine()) as server:
        messages = await read_all(server.stub.Generate(request))
    assert len(messages[0].accepted.request_id) == 36
    assert messages[-1].summary.request_id == messages[0].accepted.request_id


async def test_the_engine_does_not_wait_for_the_reader() -> None:
    engine = FakeEngine()
    async with served(engine) as server:
        call = server.stub.Generate(generate_request())
        await eventually(lambda: engine.graph_calls == GRAPH_CALLS)  # nothing was read yet
        assert kinds(await read_all(call))[-1] == "summary"


async def test_many_streams_at_once_on_one_channel_are_each_exact() -> None:
    gate = Semaphore(0)
    seeds = range(20)
    async with served(FakeEngine(gate=gate), queue_capacity=len(seeds), caller_max_jobs=len(seeds)) as server:
        calls = [server.stub.Generate(request_of(seed)) for seed in seeds]
        firsts = [await anext(aiter(call)) for call in calls]  # every stream is open, and none may go on
        assert kinds(firsts) == ["accepted"] * len(seeds)
        assert await server.sample("stillcue_running_jobs") == 1
        assert await server.sample("stillcue_queue_jobs") == len(seeds) - 1
        gate.release(len(seeds) * GRAPH_CALL_COUNT)
        rests = await asyncio.gather(*(read_all(call) for call in calls))
    for seed, first, rest in zip(seeds, firsts, rests, strict=True):
        messages = [first, *rest]
        assert [message.sequence_number for message in messages] == list(range(len(messages)))
        assert without_the_queue(messages) == without_the_queue(expected_stream(seed, request_id_of(seed)))


def request_id_of(seed: int) -> str:
    return f"00000000-0000-4000-8000-{seed:012}"


def request_of(seed: int) -> generate_pb2.GenerateRequest:
    return generate_request(request_id=request_id_of(seed), sampling=generate_pb2.SamplingSpec(seed=seed))


def without_the_queue(messages: list[generate_pb2.GenerateResponse]) -> list[generate_pb2.GenerateResponse]:
    """The messages less what the other jobs in the queue decide."""
    plain = [message for message in without_clocks(messages) if not message.HasField("queue_update")]
    plain[0].accepted.estimate.ClearField("wait_duration")
    return plain
