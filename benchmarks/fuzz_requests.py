"""Malformed requests for ``benchmarks.fuzz``: messages drawn by hypothesis, and valid messages with changed bytes."""

from __future__ import annotations

import io
import random
import struct
import zlib
from typing import Any

from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from hypothesis import strategies as st
from PIL import Image

from stillcue.v1 import generate_pb2, match_pb2, media_pb2, segments_pb2

_INT32 = st.sampled_from([0, 1, -1, 4, 9, 32, 48, 2**31 - 1, -(2**31)]) | st.integers(-(2**31), 2**31 - 1)
_INT64 = st.sampled_from([0, 7, 2**63 - 1, -(2**63)]) | st.integers(-(2**63), 2**63 - 1)
_FLOAT = st.floats(allow_nan=True, allow_infinity=True)
_GOOD_TEXT = st.just("a red fox turns its head")
_TEXT = _GOOD_TEXT | _GOOD_TEXT | st.text(max_size=40) | st.sampled_from(["", " ", "\x00", "x" * 3_000, "狐" * 700])
_REQUEST_IDS = st.just("") | st.uuids().map(str) | st.uuids().map(str) | st.just("no uuid")


def _file(image_format: str, width_px: int, height_px: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (width_px, height_px), "grey").save(buffer, image_format)
    return buffer.getvalue()


def _png(width_px: int, height_px: int, scanlines: bytes) -> bytes:
    """Returns a PNG file whose header states a size and whose data is ``scanlines``, whatever their size."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width_px, height_px, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        (chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(scanlines, 9)), chunk(b"IEND", b""))
    )


_GOOD = [_file(name, 32, 32) for name in ("PNG", "JPEG", "WEBP")]
# Small files that would decode to large pictures: refused for the stated size, before any pixel is decoded.
BOMBS = [_png(30_000, 30_000, b""), _png(2**31 - 1, 2**31 - 1, b""), _png(7_100, 7_100, bytes(8 * 2**20))]
_BAD = [
    b"",
    b"no picture",
    _png(32, 32, bytes(64 * 2**20)),  # more pixels than the header states
    _png(0, 32, b""),
    *(file[: len(file) // 2] for file in _GOOD),
    *BOMBS,
]


@st.composite
def _pictures(draw: st.DrawFn) -> media_pb2.Image:
    if draw(st.integers(0, 3)):
        return media_pb2.Image(data=draw(st.sampled_from(_GOOD)))
    data = draw(st.sampled_from(_GOOD + _BAD))
    if draw(st.booleans()):
        data = changed(random.Random(draw(st.integers(0, 2**32))), data)
    return media_pb2.Image(data=data, format=draw(st.sampled_from([0, 0, 0, 1, 2, 3, 99])))  # type: ignore[arg-type]


def _some(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Draws any subset of these fields with values of their strategies."""
    return st.fixed_dictionaries({}, optional=fields)


_SIZES = st.sampled_from([(32, 32, 9), (48, 32, 9), (32, 32, 17), (64, 64, 9), (32, 32, 13), (32, 32, 25)])
_VIDEO = _SIZES.map(lambda size: dict(zip(("width_px", "height_px", "frame_count"), size, strict=True))) | _some(
    width_px=_INT32, height_px=_INT32, frame_count=_INT32, frame_rate=_FLOAT, seconds=_FLOAT
)
_SAMPLING = _some(
    step_count=_INT32,
    guidance_scale=_FLOAT,
    guidance_scale_low_noise=_FLOAT,
    seed=_INT64,
    shift=_FLOAT,
    step_reuse=st.sampled_from([0, 1, 2, 3, 99]),
)
_MATCH = _some(mode=st.sampled_from([0, 1, 2, 3, 99]), minimum_score=_FLOAT)
_DURATIONS = st.builds(Duration, seconds=_INT64, nanos=_INT32)
_STREAM = _some(
    preview_every_step_count=_INT32, frame_encoding=st.sampled_from([0, 1, 2, 3, 4, 99]), max_stall_duration=_DURATIONS
)
_NONE: st.SearchStrategy[dict[str, Any]] = st.just({})
_SEGMENT = _some(
    frame_count=st.sampled_from([0, 9, 17, 13, 5]) | _INT32,
    seed=_INT64,
    guidance_scale=_FLOAT,
    guidance_scale_low_noise=_FLOAT,
)
_SEGMENTS = st.lists(
    st.builds(
        lambda prompt, fields: segments_pb2.SegmentSpec(prompt=prompt, **fields), _TEXT, _NONE | _NONE | _SEGMENT
    ),
    max_size=14,
)
# A chain has no prompt beside its segments.
_CHAIN = st.builds(lambda segments, fields: {"segments": segments} | fields, _SEGMENTS, st.just({"prompt": ""}) | _NONE)
# Mostly one group of fields at a time is invalid, so that the checks of the other groups are reached too.
GENERATE = st.builds(
    lambda fields, chain, video, sampling, match, stream: generate_pb2.GenerateRequest(
        **fields | chain,
        video=generate_pb2.VideoSpec(**video),
        sampling=generate_pb2.SamplingSpec(**sampling),
        match=match_pb2.MatchPolicy(**match),
        stream=generate_pb2.StreamSpec(**stream),
    ),
    st.fixed_dictionaries(
        {"request_id": _REQUEST_IDS, "image": _pictures(), "prompt": _TEXT}, optional={"negative_prompt": _TEXT}
    ),
    _NONE | _NONE | _CHAIN,
    _NONE | _NONE | _VIDEO,
    _NONE | _NONE | _SAMPLING,
    _NONE | _NONE | _MATCH,
    _NONE | _NONE | _STREAM,
)
SCORE_MATCH = st.builds(match_pb2.ScoreMatchRequest, image=_pictures(), prompt=_TEXT)


def valid_messages() -> list[Message]:
    """Returns the valid messages whose bytes are changed."""
    image = media_pb2.Image(data=_GOOD[0], format=media_pb2.IMAGE_FORMAT_PNG)
    return [
        generate_pb2.GenerateRequest(
            request_id="6f1c2f6e-0d0c-4c53-9d4a-0a8f3a1f5c11",
            image=image,
            prompt="a red fox turns its head",
            negative_prompt="blurred",
            video=generate_pb2.VideoSpec(width_px=32, height_px=32, frame_count=9, frame_rate=8),
            sampling=generate_pb2.SamplingSpec(step_count=4, guidance_scale=3.5, seed=7, shift=5),
            match=match_pb2.MatchPolicy(mode=match_pb2.MATCH_MODE_REPORT),
            stream=generate_pb2.StreamSpec(preview_every_step_count=1, max_stall_duration=Duration(seconds=5)),
        ),
        generate_pb2.GenerateRequest(
            image=image,
            video=generate_pb2.VideoSpec(seconds=1.6),
            segments=[
                segments_pb2.SegmentSpec(prompt="a red fox runs", frame_count=9, seed=7, guidance_scale=3.5),
                segments_pb2.SegmentSpec(prompt="a red fox sits", guidance_scale_low_noise=3.5),
            ],
        ),
        match_pb2.ScoreMatchRequest(image=image, prompt="a red fox turns its head"),
    ]


def changed(draw: random.Random, data: bytes) -> bytes:
    """Returns ``data`` with a few bytes replaced, removed, repeated, inserted or cut off."""
    mutable = bytearray(data)
    for _ in range(draw.randint(1, 4)):
        at = draw.randrange(len(mutable) + 1)
        length = draw.choice([1, 1, 2, 8, 100])
        match draw.randrange(5):
            case 0:
                mutable[at : at + length] = draw.randbytes(min(length, len(mutable) - at))
            case 1:
                del mutable[at : at + length]
            case 2:
                mutable[at:at] = mutable[at : at + length]
            case 3:
                mutable[at:at] = draw.choice([b"\xff" * 10, b"\x80" * 10, b"\x00", b"\xc3\x28", draw.randbytes(length)])
            case _:
                del mutable[at:]
    return bytes(mutable)
