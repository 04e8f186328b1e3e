"""Refused jobs: the error for each field, and that the engine never receives the job."""

from __future__ import annotations

import math
import struct
import zlib
from typing import Any

import grpc
import grpc.aio
import pytest
from google.protobuf.duration_pb2 import Duration

from engine.testing.fake_engine import FakeEngine
from stillcue.v1 import generate_pb2, match_pb2, media_pb2
from tests.serving import failure_of, generate_request, png, reason, served, violations

INVALID_ARGUMENT = grpc.StatusCode.INVALID_ARGUMENT
FAILED_PRECONDITION = grpc.StatusCode.FAILED_PRECONDITION


def png_header(width_px: int, height_px: int) -> bytes:
    """A PNG file that claims a size and holds no pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width_px, height_px, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")


def picture(data: bytes, stated: media_pb2.ImageFormat = media_pb2.IMAGE_FORMAT_UNSPECIFIED) -> dict[str, Any]:
    return {"image": media_pb2.Image(data=data, format=stated)}


def sampling(**fields: Any) -> dict[str, Any]:
    return {"sampling": generate_pb2.SamplingSpec(**fields)}


def video(**fields: Any) -> dict[str, Any]:
    return {"video": generate_pb2.VideoSpec(**fields)}


def stream(**fields: Any) -> dict[str, Any]:
    return {"stream": generate_pb2.StreamSpec(**fields)}


BAD_FIELDS: dict[str, tuple[dict[str, Any], grpc.StatusCode, str, str]] = {
    "blank prompt": (
        {"prompt": "  "},
        INVALID_ARGUMENT,
        "prompt",
        "is empty; name the subject of the picture and what it does",
    ),
    "long prompt": (
        {"prompt": "x" * 2_001},
        INVALID_ARGUMENT,
        "prompt",
        "has 2001 characters, more than the limit of 2000; shorten it",
    ),
    "not a picture": (
        picture(b"no picture"),
        INVALID_ARGUMENT,
        "image.data",
        "is text, not a picture; send a PNG, JPEG, WebP, GIF, BMP, TIFF or AVIF file",
    ),
    "truncated picture": (
        picture(png(64, 64)[:60]),
        INVALID_ARGUMENT,
        "image.data",
        "is damaged or cut short; send the whole file again",
    ),
    "20,000 x 20,000": (
        picture(png_header(20_000, 20_000)),
        INVALID_ARGUMENT,
        "image.data",
        "is 20000x20000 pixels, more than the limit of 50000000; scale it down first",
    ),
    "large file": (
        picture(bytes(8 * 2**20 + 1)),
        INVALID_ARGUMENT,
        "image.data",
        "holds 8388609 bytes, more than the limit of 8388608; send a smaller picture, no clip is larger than its "
        "compiled size",
    ),
    "other format": (
        picture(png(), media_pb2.IMAGE_FORMAT_JPEG),
        INVALID_ARGUMENT,
        "image.format",
        "says JPEG but the data is PNG",
    ),
    "unknown format": (
        picture(png(), 9),  # type: ignore[arg-type]
        INVALID_ARGUMENT,
        "image.format",
        "is 9; this server knows 0, 1, 2, 3, 4, 5, 6, 7, 8",
    ),
    "frame count": (
        video(frame_count=10),
        INVALID_ARGUMENT,
        "video.frame_count",
        "is 10, not 4n + 1; the nearest is 9",
    ),
    "frame rate": (
        video(frame_rate=math.inf),
        INVALID_ARGUMENT,
        "video.frame_rate",
        "is inf; send a number from 1 to 120",
    ),
    "width alone": (
        video(width_px=32),
        INVALID_ARGUMENT,
        "video.width_px",
        "is 32 beside a height of 0; send both, or neither to let the server choose by the picture's aspect",
    ),
    "length not compiled": (
        video(frame_count=13),
        FAILED_PRECONDITION,
        "video.frame_count",
        "is 13; this server was compiled for 9, 17 frames, and makes chains of 21 to 149",
    ),
    "size not compiled": (
        video(width_px=64, height_px=64),
        FAILED_PRECONDITION,
        "video.width_px",
        "asks for 64x64; this server was compiled for 32x32, 48x32 at 9 frames",
    ),
    "guidance NaN": (
        sampling(guidance_scale=math.nan),
        INVALID_ARGUMENT,
        "sampling.guidance_scale",
        "is nan; send a number from 1 to 30",
    ),
    "no steps": (sampling(step_count=0), INVALID_ARGUMENT, "sampling.step_count", "is 0, outside 1 to 100"),
    "unknown reuse": (
        sampling(step_reuse=4),
        INVALID_ARGUMENT,
        "sampling.step_reuse",
        "is 4; this server knows 0, 1, 2, 3",
    ),
    "negative seed": (
        sampling(seed=-1),
        INVALID_ARGUMENT,
        "sampling.seed",
        "is -1, outside 0 to 9223372036854775807",
    ),
    "score": (
        {"match": match_pb2.MatchPolicy(minimum_score=101)},
        INVALID_ARGUMENT,
        "match.minimum_score",
        "is 101, outside 0 to 100",
    ),
    "unknown mode": (
        {"match": match_pb2.MatchPolicy(mode=77)},  # type: ignore[arg-type]
        INVALID_ARGUMENT,
        "match.mode",
        "is 77; this server knows 0, 1, 2, 3",
    ),
    "bad id": (
        {"request_id": "job-1"},
        INVALID_ARGUMENT,
        "request_id",
        "is not a UUID such as 6f1c2f6e-0d0c-4c53-9d4a-0a8f3a1f5c11; send one, or leave it empty",
    ),
    "unknown encoding": (
        stream(frame_encoding=42),
        INVALID_ARGUMENT,
        "stream.frame_encoding",
        "is 42; this server knows 0, 1, 2, 3, 4",
    ),
    "preview interval": (
        stream(preview_every_step_count=-1),
        INVALID_ARGUMENT,
        "stream.preview_every_step_count",
        "is negative; send 0 for no previews",
    ),
    "no patience": (
        stream(max_stall_duration=Duration()),
        INVALID_ARGUMENT,
        "stream.max_stall_duration",
        "is not a duration above 0; leave it unset for the server's own",
    ),
    "impossible duration": (
        stream(max_stall_duration=Duration(seconds=1, nanos=-1)),
        INVALID_ARGUMENT,
        "stream.max_stall_duration",
        "is not a duration above 0; leave it unset for the server's own",
    ),
}


@pytest.mark.parametrize("name", BAD_FIELDS)
async def test_a_bad_field_is_named_and_the_engine_is_left_alone(name: str) -> None:
    fields, code, field, description = BAD_FIELDS[name]
    engine = FakeEngine()
    async with served(engine) as server:
        error = await failure_of(server.stub.Generate(generate_request(**fields)))
    assert error.code() is code
    assert reason(error) == ("INVALID_JOB" if code is INVALID_ARGUMENT else "NOT_COMPILED")
    assert violations(error) == [(field, description)]
    assert error.details() == f"{field}: {description}"
    assert engine.graph_calls == []


@pytest.mark.parametrize(("width_px", "height_px"), [(0, 0), (0, 32), (32, 0)])
async def test_a_picture_without_pixels_is_refused(width_px: int, height_px: int) -> None:
    engine = FakeEngine()
    async with served(engine) as server:
        error = await failure_of(server.stub.Generate(generate_request(**picture(png_header(width_px, height_px)))))
    assert error.code() is INVALID_ARGUMENT
    assert [field for field, _ in violations(error)] == ["image.data"]
    assert engine.graph_calls == []


async def test_every_bad_field_is_named_at_once() -> None:
    request = generate_pb2.GenerateRequest(
        request_id="job-1",
        image=media_pb2.Image(format=9),  # type: ignore[arg-type]
        video=generate_pb2.VideoSpec(frame_count=2),
        sampling=generate_pb2.SamplingSpec(shift=math.nan),
        stream=generate_pb2.StreamSpec(frame_encoding=9),  # type: ignore[arg-type]
    )
    async with served(FakeEngine()) as server:
        error = await failure_of(server.stub.Generate(request))
    assert [field for field, _ in violations(error)] == [
        "request_id",
        "image.format",
        "stream.frame_encoding",
        "prompt",
        "video.frame_count",
        "sampling.shift",
        "image.data",
    ]


async def test_a_bad_field_is_told_before_what_was_not_compiled() -> None:
    request = generate_request(request_id="job-1", **video(frame_count=13))
    async with served(FakeEngine()) as server:
        error = await failure_of(server.stub.Generate(request))
    assert [field for field, _ in violations(error)] == ["request_id"]
