"""Both clients against a scripted server: requests arrive with the given options, events are decoded exactly."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message

import stillcue
from stillcue.v1 import attempts_pb2, diagnosis_pb2, generate_pb2, match_pb2, media_pb2
from tests.client_values import CAPABILITIES, CLIP
from tests.scripted_chain import a_chain
from tests.scripted_report import DIAGNOSIS_MESSAGE, REPORT, REPORT_MESSAGE
from tests.scripted_server import Response, ScriptedServer, accepted, summary

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def test_every_event_is_decoded_exactly(client: stillcue.Client) -> None:
    stream = client.generate(b"a picture", "A boat.", request_id="an-id", preview_every_step_count=1)
    assert list(stream) == CLIP
    assert list(stream) == []


@pytest.mark.parametrize("omit_frames", [False, True])
def test_chunks_of_a_video_file(client: stillcue.Client, server: ScriptedServer, omit_frames: bool) -> None:
    container = stillcue.VideoContainer.FRAGMENTED_MP4
    events = list(client.generate(b"a picture", "A boat.", video_container=container, omit_frames=omit_frames))
    frames = [] if omit_frames else [event for event in CLIP if isinstance(event, stillcue.Frame)]
    chunks = [
        stillcue.VideoChunk(0, b"chunk 0;", 1, 'video/mp4; codecs="none"'),
        stillcue.VideoChunk(1, b"chunk 1;", 4),
    ]
    assert events[-len(frames) - 3 : -1] == [*frames[:1], chunks[0], *frames[1:], chunks[1]]


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
        "seconds": 1.125,
        "segments": [],  # tests/test_client_chains.py has some
        "frame_rate": 16.0,
        "picture_fit": stillcue.PictureFit.CROP_SUBJECT,
        "step_count": 20,
        "guidance_scale": 4.0,
        "guidance_scale_low_noise": 3.0,
        "seed": 0,
        "shift": 5.0,
        "step_reuse": stillcue.StepReuse.FAST,
        "match": stillcue.MatchMode.REQUIRE,
        "minimum_match_score": 60.0,
        "attempts": stillcue.Attempts(3, 0.75, stillcue.AttemptFrames.ACCEPTED),
        "preview_every_step_count": 2,
        "frame_encoding": stillcue.FrameEncoding.RAW_RGB,
        "video_container": stillcue.VideoContainer.FRAGMENTED_MP4,
        "video_codec": stillcue.VideoCodec.AV1,
        "omit_frames": True,
        "max_stall_seconds": 2.5,
        "resume_window_seconds": 12.5,
        "request_id": "an-id",
    }
    assert options.keys() == stillcue.GenerateOptions.__annotations__.keys()
    server.generate = a_chain
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
            seconds=1.125,
        ),
        sampling=generate_pb2.SamplingSpec(
            step_count=20,
            guidance_scale=4.0,
            guidance_scale_low_noise=3.0,
            seed=0,
            shift=5.0,
            step_reuse=generate_pb2.STEP_REUSE_FAST,
        ),
        match=match_pb2.MatchPolicy(mode=match_pb2.MATCH_MODE_REQUIRE, minimum_score=60.0),
        stream=generate_pb2.StreamSpec(
            preview_every_step_count=2,
            frame_encoding=media_pb2.FRAME_ENCODING_RAW_RGB,
            video_container=media_pb2.VIDEO_CONTAINER_FRAGMENTED_MP4,
            video_codec=media_pb2.VIDEO_CODEC_AV1,
            omit_frames=True,
        ),
        attempts=attempts_pb2.Attempts(maximum_count=3, accept=0.75, frames=attempts_pb2.ATTEMPT_FRAMES_ACCEPTED),
    )
    request.stream.max_stall_duration.FromMilliseconds(2500)
    request.stream.resume_window.FromMilliseconds(12_500)
    assert server.requests == [request]


def test_every_option_of_a_score_reaches_its_field(client: stillcue.Client, server: ScriptedServer) -> None:
    options: Any = {
        "negative_prompt": "",
        "width_px": 832,
        "height_px": 480,
        "frame_count": 81,
        "frame_rate": 16.0,
        "guidance_scale": 4.0,
        "include_heat_map": True,
        "include_crop": True,
        "picture_fit": stillcue.PictureFit.PAD,
    }
    assert options.keys() == stillcue.ScoreOptions.__annotations__.keys()
    client.score_match(b"a picture", "A boat.", **options)
    sent = {**options, "picture_fit": media_pb2.PICTURE_FIT_PAD}
    assert server.requests == [
        match_pb2.ScoreMatchRequest(image=media_pb2.Image(data=b"a picture"), prompt="A boat.", **sent)
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
        (stillcue.StepReuse, generate_pb2.StepReuse, "STEP_REUSE_"),
        (stillcue.StepWork, generate_pb2.StepWork, "STEP_WORK_"),
        (stillcue.FrameEncoding, media_pb2.FrameEncoding, "FRAME_ENCODING_"),
        (stillcue.VideoContainer, media_pb2.VideoContainer, "VIDEO_CONTAINER_"),
        (stillcue.VideoCodec, media_pb2.VideoCodec, "VIDEO_CODEC_"),
        (stillcue.MatchVerdict, match_pb2.MatchVerdict, "MATCH_VERDICT_"),
        (stillcue.MatchBasis, match_pb2.MatchBasis, "MATCH_BASIS_"),
        (stillcue.AttemptFrames, attempts_pb2.AttemptFrames, "ATTEMPT_FRAMES_"),
        (stillcue.AttemptsEnd, attempts_pb2.AttemptsEnd, "ATTEMPTS_END_"),
        (stillcue.MatchMode, match_pb2.MatchMode, "MATCH_MODE_"),
        (stillcue.DiagnosisOutcome, diagnosis_pb2.DiagnosisOutcome, "DIAGNOSIS_OUTCOME_"),
        (stillcue.SymptomKind, diagnosis_pb2.SymptomKind, "SYMPTOM_KIND_"),
        (stillcue.RemedyKind, diagnosis_pb2.RemedyKind, "REMEDY_KIND_"),
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
