"""Reads the video files of streams: boxes, decoded frames, colours, and requests that ask for them."""

from __future__ import annotations

import io
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import av
import numpy as np

from stillcue.v1 import generate_pb2, media_pb2
from tests.serving import generate_request

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from engine.api.media import Pixels

H264, AV1 = media_pb2.VIDEO_CODEC_H264, media_pb2.VIDEO_CODEC_AV1
_PARENTS = {"moov", "trak", "mdia", "minf", "stbl", "mvex", "moof", "traf"}


def video_request(codec: media_pb2.VideoCodec = H264, *, omit_frames: bool = False, **fields: Any) -> Any:
    """``generate_request`` with a video file."""
    stream = generate_pb2.StreamSpec(
        video_container=media_pb2.VIDEO_CONTAINER_FRAGMENTED_MP4,
        video_codec=codec,
        omit_frames=omit_frames,
    )
    request = generate_request(**fields)
    request.stream.MergeFrom(stream)
    return request


def chunks_of(messages: Sequence[generate_pb2.GenerateResponse]) -> list[generate_pb2.VideoChunk]:
    return [message.video_chunk for message in messages if message.HasField("video_chunk")]


def file_of(messages: Sequence[generate_pb2.GenerateResponse]) -> bytes:
    return b"".join(chunk.data for chunk in chunks_of(messages))


def boxes(data: bytes) -> Iterator[tuple[str, bytes]]:
    """Names and contents of all boxes, depth first; raises for a size that leaves the parent."""
    while data:
        size, name = int.from_bytes(data[:4], "big"), data[4:8].decode()
        assert 8 <= size <= len(data), (name, size, len(data))
        yield name, data[8:size]
        if name in _PARENTS:
            yield from boxes(data[8:size])
        data = data[size:]


@dataclass(frozen=True)
class Decoded:
    """What PyAV reads of a file. ``times`` are seconds, ``planes`` Y, Cb and Cr of each frame."""

    frames: list[Pixels]
    planes: list[list[NDArray[np.uint8]]]
    times: list[Fraction]
    rate: Fraction
    duration: Fraction
    codec: str
    tags: tuple[int, int, int, int]  # primaries, transfer, matrix, range


def decode(data: bytes) -> Decoded:
    with av.open(io.BytesIO(data), "r") as container:
        stream = container.streams.video[0]
        found = list(container.decode(stream))
        assert stream.duration is not None
        assert stream.time_base is not None
        assert stream.average_rate is not None
        context = stream.codec_context
        return Decoded(
            [np.asarray(frame.to_ndarray(format="rgb24"), np.uint8) for frame in found],
            [[_plane(plane) for plane in frame.planes] for frame in found],
            [Fraction(frame.pts or 0) * Fraction(frame.time_base or 0) for frame in found],
            stream.average_rate,
            stream.duration * stream.time_base,
            context.name,
            (context.color_primaries, context.color_trc, int(context.colorspace), int(context.color_range)),
        )


def bt709(colour: tuple[int, int, int]) -> tuple[float, float, float]:
    """Y, Cb and Cr of 8 bits in limited range (ITU-R BT.709, table 3 and 4)."""
    red, green, blue = (value / 255 for value in colour)
    luma = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    return 16 + 219 * luma, 128 + 224 * (blue - luma) / 1.8556, 128 + 224 * (red - luma) / 1.5748


def _plane(plane: Any) -> NDArray[np.uint8]:
    return np.frombuffer(plane, np.uint8).reshape(plane.height, plane.line_size)[:, : plane.width]
