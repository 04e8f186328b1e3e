"""Both clients against a scripted server: requests arrive with the given options, events are decoded exactly."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message

import stillcue
from stillcue.v1 import generate_pb2, match_pb2, media_pb2
from tests.scripted_report import DIAGNOSIS, DIAGNOSIS_MESSAGE, REPORT, REPORT_MESSAGE
from tests.scripted_server import (
    FRAME_COUNT,
    HEIGHT_PX,
    PREVIEW_JPEG,
    WIDTH_PX,
    Response,
    ScriptedServer,
    a_clip,
    accepted,
    colour,
    frame,
    serving,
    summary,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SETTINGS = stillcue.Settings(
    width_px=WIDTH_PX,
    height_px=HEIGHT_PX,
    frame_count=FRAME_COUNT,
    frame_rate=8.0,
    step_count=2,
    guidance_scale=3.5,
    guidance_scale_low_noise=4.5,
    seed=7,
    shift=5.0,
    negative_prompt="blurred",
    crop=stillcue.Box(1, 2, 3, 4),
    picture_fit=stillcue.PictureFit.PAD,
)
PREVIEW = stillcue.Preview(PREVIEW_JPEG, 6, 4)
CLIP: list[stillcue.Event] = [
    stillcue.Accepted("an-id", SETTINGS, ("soft picture",)),
    stillcue.QueueUpdate(0),
    stillcue.StageStarted(stillcue.Stage.MATCH),
    REPORT,
    stillcue.StageStarted(stillcue.Stage.DENOISE),
    stillcue.DenoiseProgress(1, 2, stillcue.Expert.HIGH_NOISE, 1.25, PREVIEW),
    stillcue.DenoiseProgress(2, 2, stillcue.Expert.LOW_NOISE, 1.25, PREVIEW),
    stillcue.StageStarted(stillcue.Stage.DECODE),
    *(
        stillcue.Frame(
            index,
            stillcue.FrameEncoding.RAW_RGB,
            bytes(colour(index)) * (WIDTH_PX * HEIGHT_PX),
            WIDTH_PX,
            HEIGHT_PX,
        )
        for index in range(FRAME_COUNT)
    ),
    stillcue.Summary(
        request_id="an-id",
        settings=SETTINGS,
        bundle_digest="ab" * 32,
        checkpoint_digest="cd" * 32,
        stage_seconds={stillcue.Stage.DENOISE: 2.5, stillcue.Stage.DECODE: 0.25},
        queue_seconds=0.5,
        work_seconds=3.0,
        first_frame_seconds=2.75,
        peak_memory_bytes=12_345_678_901,
        first_frame_psnr_db=float("inf"),
        match_report=REPORT,
        warnings=("soft picture", "dark frames"),
        frame_matches=(stillcue.FrameMatch(4, 50.0),),
        diagnosis=DIAGNOSIS,
    ),
]
CAPABILITIES = stillcue.Capabilities(
    server_version="1.2.3",
    model=stillcue.Model("scripted", stillcue.ModelFamily.WAN22_TI2V_5B, "ab" * 32, "cd" * 32, "none", "Apache-2.0"),
    geometries=(stillcue.Geometry(WIDTH_PX, HEIGHT_PX, FRAME_COUNT),),
    sampling_defaults=stillcue.SamplingDefaults(2, 5.0, None, 3.0, 24.0, "blurred"),
    limits=stillcue.Limits(1000, 2000, 30, 400, 5),
    match_supported=True,
    frame_encodings=(stillcue.FrameEncoding.RAW_RGB, stillcue.FrameEncoding.PNG),
    notices=("plain colours",),
    memory_budget_bytes=24_159_191_040,
    memory_plans=(
        stillcue.MemoryPlan(
            geometry=stillcue.Geometry(WIDTH_PX, HEIGHT_PX, FRAME_COUNT),
            stages=(
                stillcue.StageMemory(
                    stillcue.Stage.ENCODE_TEXT,
                    None,
                    resident_graphs=("text_encoder", "transformer"),
                    loaded_graphs=("text_encoder",),
                    prefetched_graphs=(),
                    weight_bytes=11_000_000_000,
                    scratch_bytes=200_000_000,
                    buffer_bytes=30_000_000,
                    peak_bytes=11_230_000_000,
                ),
                stillcue.StageMemory(
                    stillcue.Stage.DENOISE,
                    stillcue.Expert.SINGLE,
                    resident_graphs=("transformer", "vae_decoder_init"),
                    loaded_graphs=(),
                    prefetched_graphs=("vae_decoder_init",),
                    weight_bytes=6_000_000_000,
                    scratch_bytes=0,
                    buffer_bytes=0,
                    peak_bytes=6_000_000_000,
                ),
            ),
            peak_bytes=11_230_000_000,
            swapped_graphs=("text_encoder", "vae_decoder_init"),
        ),
    ),
)


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with serving(ScriptedServer()) as running:
        yield running


@pytest.fixture
def client(server: ScriptedServer) -> Iterator[stillcue.Client]:
    with stillcue.Client(server.target) as connected:
        yield connected


def a_clip_that_halts(request: generate_pb2.GenerateRequest, context: Any) -> Iterator[Response]:
    """Sends the first frame and then nothing until the call is over."""
    is_over = threading.Event()
    context.add_callback(is_over.set)
    yield accepted(request)
    yield frame(0)
    is_over.wait(30)
    raise ConnectionError  # whatever: nobody listens any more


def test_every_event_is_decoded_exactly(client: stillcue.Client) -> None:
    stream = client.generate(b"a picture", "A boat.", request_id="an-id", preview_every_step_count=1)
    assert list(stream) == CLIP
    assert list(stream) == []


async def test_every_event_is_decoded_exactly_by_the_asynchronous_client(server: ScriptedServer) -> None:
    async with stillcue.AsyncClient(server.target) as client:
        stream = client.generate(b"a picture", "A boat.", request_id="an-id", preview_every_step_count=1)
        assert [event async for event in stream] == CLIP
        assert [event async for event in stream] == []


def test_unset_options_stay_unset_and_the_client_draws_an_id(client: stillcue.Client, server: ScriptedServer) -> None:
    stream = client.generate(b"a picture", "A boat.")
    list(stream)
    assert len(stream.request_id) == 36
    assert server.requests == [
        generate_pb2.GenerateRequest(
            request_id=stream.request_id,
            image=media_pb2.Image(data=b"a picture"),
            prompt="A boat.",
            video=generate_pb2.VideoSpec(),
            sampling=generate_pb2.SamplingSpec(),
            match=match_pb2.MatchPolicy(),
            stream=generate_pb2.StreamSpec(resume_window=Duration(seconds=30)),
        )
    ]


def test_every_option_reaches_its_field(client: stillcue.Client, server: ScriptedServer, tmp_path: Path) -> None:
    picture = tmp_path / "boat.png"
    picture.write_bytes(b"a picture")
    options: stillcue.GenerateOptions = {
        "negative_prompt": "",
        "width_px": 832,
        "height_px": 480,
        "frame_count": 81,
        "frame_rate": 16.0,
        "picture_fit": stillcue.PictureFit.CROP_SUBJECT,
        "step_count": 20,
        "guidance_scale": 4.0,
        "guidance_scale_low_noise": 3.0,
        "seed": 0,
        "shift": 5.0,
        "match": stillcue.MatchMode.REQUIRE,
        "minimum_match_score": 60.0,
        "preview_every_step_count": 2,
        "frame_encoding": stillcue.FrameEncoding.RAW_RGB,
        "max_stall_seconds": 2.5,
        "resume_window_seconds": 12.5,
        "request_id": "an-id",
    }
    assert options.keys() == stillcue.GenerateOptions.__annotations__.keys()
    list(client.generate(picture, "一只小船离开港口。", **options))
    request = generate_pb2.GenerateRequest(
        request_id="an-id",
        image=media_pb2.Image(data=b"a picture"),
        prompt="一只小船离开港口。",
        negative_prompt="",
        video=generate_pb2.VideoSpec(
            width_px=832,
            height_px=480,
            frame_count=81,
            frame_rate=16.0,
            picture_fit=media_pb2.PICTURE_FIT_CROP_SUBJECT,
        ),
        sampling=generate_pb2.SamplingSpec(
            step_count=20, guidance_scale=4.0, guidance_scale_low_noise=3.0, seed=0, shift=5.0
        ),
        match=match_pb2.MatchPolicy(mode=match_pb2.MATCH_MODE_REQUIRE, minimum_score=60.0),
        stream=generate_pb2.StreamSpec(preview_every_step_count=2, frame_encoding=media_pb2.FRAME_ENCODING_RAW_RGB),
    )
    request.stream.max_stall_duration.FromMilliseconds(2500)
    request.stream.resume_window.FromMilliseconds(12_500)
    assert server.requests == [request]


def test_every_option_of_a_score_reaches_its_field(client: stillcue.Client, server: ScriptedServer) -> None:
    options: stillcue.ScoreOptions = {
        "negative_prompt": "",
        "width_px": 832,
        "height_px": 480,
        "frame_count": 81,
        "frame_rate": 16.0,
        "guidance_scale": 4.0,
        "include_heat_map": True,
        "include_crop": True,
    }
    assert options.keys() == stillcue.ScoreOptions.__annotations__.keys()
    client.score_match(b"a picture", "A boat.", **options)
    assert server.requests == [
        match_pb2.ScoreMatchRequest(image=media_pb2.Image(data=b"a picture"), prompt="A boat.", **options)
    ]
    with pytest.raises(TypeError, match="'size'"):
        client.score_match(b"a picture", "A boat.", size=5)  # type: ignore[call-arg]


@pytest.mark.parametrize("message", [REPORT_MESSAGE, DIAGNOSIS_MESSAGE])
def test_the_scripted_messages_leave_no_field_out(message: Message) -> None:
    """So that a field that the client forgets to read shows in the tests above."""
    told: dict[str, set[str]] = {}
    known: dict[str, set[str]] = {}

    def look(part: Message) -> None:
        name = part.DESCRIPTOR.name
        known.setdefault(name, set()).update(field.name for field in part.DESCRIPTOR.fields)
        told.setdefault(name, set()).update(field.name for field, _ in part.ListFields())
        for field, value in part.ListFields():
            if field.message_type is not None:
                for item in value if field.is_repeated else [value]:
                    look(item)

    look(message)
    assert told == known


def test_an_option_that_does_not_exist_is_named(client: stillcue.Client, server: ScriptedServer) -> None:
    with pytest.raises(TypeError, match="'steps'"):
        client.generate(b"a picture", "A boat.", steps=20)  # type: ignore[call-arg]
    assert server.requests == []


def test_a_picture_that_is_not_there(client: stillcue.Client) -> None:
    with pytest.raises(FileNotFoundError):
        client.generate("no such picture.png", "A boat.")


def test_score_and_capabilities(client: stillcue.Client, server: ScriptedServer) -> None:
    assert client.score_match(b"a picture", "A boat.") == REPORT
    assert server.requests == [match_pb2.ScoreMatchRequest(image=media_pb2.Image(data=b"a picture"), prompt="A boat.")]
    assert client.capabilities() == CAPABILITIES


async def test_score_and_capabilities_asynchronously(server: ScriptedServer) -> None:
    async with stillcue.AsyncClient(server.target) as client:
        assert await client.score_match(b"a picture", "A boat.") == REPORT
        assert await client.capabilities() == CAPABILITIES


def test_what_only_newer_servers_know_is_unknown_or_left_out(client: stillcue.Client, server: ScriptedServer) -> None:
    def newer(request: generate_pb2.GenerateRequest, _context: Any) -> Iterator[Response]:
        yield accepted(request)
        yield Response()
        yield Response.FromString(bytes.fromhex("2a020863"))  # stage 99
        yield summary(request)

    server.generate = newer
    events = list(client.generate(b"a picture", "A boat."))
    assert len(events) == 3
    assert events[1] == stillcue.StageStarted(stillcue.Stage.UNKNOWN)


@pytest.mark.parametrize(
    ("enumeration", "wire", "prefix"),
    [
        (stillcue.Stage, generate_pb2.Stage, "STAGE_"),
        (stillcue.Expert, generate_pb2.Expert, "EXPERT_"),
        (stillcue.FrameEncoding, media_pb2.FrameEncoding, "FRAME_ENCODING_"),
        (stillcue.MatchVerdict, match_pb2.MatchVerdict, "MATCH_VERDICT_"),
        (stillcue.MatchBasis, match_pb2.MatchBasis, "MATCH_BASIS_"),
        (stillcue.MatchMode, match_pb2.MatchMode, "MATCH_MODE_"),
    ],
)
def test_enumerations_hold_the_contracts_names(enumeration: Any, wire: Any, prefix: str) -> None:
    names = {name.removeprefix(prefix) for name in wire.keys()} - {"UNSPECIFIED"}  # noqa: SIM118
    assert {member.name for member in enumeration} - {"UNKNOWN"} == names


def test_a_token_goes_with_every_call(server: ScriptedServer) -> None:
    with stillcue.Client(server.target, token="secret") as client:
        list(client.generate(b"a picture", "A boat."))
        client.score_match(b"a picture", "A boat.")
        client.capabilities()
    assert [metadata.get("authorization") for metadata in server.metadata] == ["Bearer secret"] * 3


def test_a_raw_frame_of_the_largest_size_passes(client: stillcue.Client, server: ScriptedServer) -> None:
    data = bytes(1920 * 1088 * 3)

    def large(request: generate_pb2.GenerateRequest, _context: Any) -> Iterator[Response]:
        yield accepted(request)
        yield Response(frame=generate_pb2.Frame(data=data, width_px=1920, height_px=1088))
        yield summary(request)

    server.generate = large
    frames = [item for item in client.generate(b"p", "A boat.") if isinstance(item, stillcue.Frame)]
    assert [len(item.data) for item in frames] == [len(data)]


def _until_first_frame(stream: stillcue.EventStream) -> None:
    next(event for event in stream if isinstance(event, stillcue.Frame))


def test_closing_a_stream_cancels_the_call(client: stillcue.Client, server: ScriptedServer) -> None:
    server.generate = a_clip_that_halts
    stream = client.generate(b"a picture", "A boat.")
    _until_first_frame(stream)
    stream.close()
    assert server.cancelled.wait(10)
    assert list(stream) == []


def test_leaving_the_streams_block_cancels_the_call(client: stillcue.Client, server: ScriptedServer) -> None:
    server.generate = a_clip_that_halts
    with client.generate(b"a picture", "A boat.") as stream:
        _until_first_frame(stream)
    assert server.cancelled.wait(10)


def test_closing_a_stream_at_its_end_cancels_nothing(client: stillcue.Client, server: ScriptedServer) -> None:
    with client.generate(b"a picture", "A boat.") as stream:
        list(stream)
    client.capabilities()
    assert not server.cancelled.is_set()


def test_closing_the_client_cancels_its_calls(server: ScriptedServer) -> None:
    server.generate = a_clip_that_halts
    with stillcue.Client(server.target) as client:
        stream = client.generate(b"a picture", "A boat.", request_id="an-id")
        _until_first_frame(stream)
    assert server.cancelled.wait(10)
    with pytest.raises(stillcue.Cancelled) as caught:
        next(stream)
    assert caught.value.request_id == "an-id"


def test_closing_from_another_thread_ends_the_wait(client: stillcue.Client, server: ScriptedServer) -> None:
    server.generate = a_clip_that_halts
    stream = client.generate(b"a picture", "A boat.")
    _until_first_frame(stream)
    closer = threading.Thread(target=stream.close)
    closer.start()
    with pytest.raises((stillcue.Cancelled, StopIteration)):
        next(stream)
    closer.join()
    assert server.cancelled.wait(10)


async def test_closing_an_asynchronous_stream_cancels_the_call(server: ScriptedServer) -> None:
    server.generate = a_clip_that_halts
    async with stillcue.AsyncClient(server.target) as client:
        async with client.generate(b"a picture", "A boat.") as stream:
            async for event in stream:
                if isinstance(event, stillcue.Frame):
                    break
        assert await asyncio.to_thread(server.cancelled.wait, 10)
        assert [event async for event in stream] == []
        server.generate = a_clip
        assert isinstance([event async for event in client.generate(b"p", "A boat.")][-1], stillcue.Summary)


async def test_cancelling_the_reading_task_cancels_the_call(server: ScriptedServer) -> None:
    server.generate = a_clip_that_halts
    has_frame = asyncio.Event()

    async def read(client: stillcue.AsyncClient) -> None:
        async for event in client.generate(b"a picture", "A boat."):
            if isinstance(event, stillcue.Frame):
                has_frame.set()

    async with stillcue.AsyncClient(server.target) as client:
        task = asyncio.create_task(read(client))
        await has_frame.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await asyncio.to_thread(server.cancelled.wait, 10)


async def test_closing_the_asynchronous_client_is_no_task_cancellation(server: ScriptedServer) -> None:
    server.generate = a_clip_that_halts
    client = stillcue.AsyncClient(server.target)
    stream = client.generate(b"a picture", "A boat.", request_id="an-id")
    await anext(stream)
    await anext(stream)
    waiting = asyncio.create_task(anext(stream))
    await asyncio.sleep(0)
    await client.aclose()
    with pytest.raises(stillcue.Cancelled) as caught:
        await waiting
    assert caught.value.request_id == "an-id"
    assert await asyncio.to_thread(server.cancelled.wait, 10)
