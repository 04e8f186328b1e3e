"""Video files of clips: containers, codecs, encoders by name, and the ``VideoEncoder`` protocol."""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from engine.api.media import Pixels


class VideoContainer(enum.Enum):
    """Containers of a video file."""

    FRAGMENTED_MP4 = "fragmented_mp4"


class VideoCodec(enum.Enum):
    """Codecs of a video file."""

    H264 = "h264"
    AV1 = "av1"


# Every encoder that can be named, by FFmpeg's names. The first that works is used for its codec.
VIDEO_ENCODERS: Mapping[str, VideoCodec] = {
    "libx264": VideoCodec.H264,
    "libsvtav1": VideoCodec.AV1,
    "h264_nvenc": VideoCodec.H264,
    "av1_nvenc": VideoCodec.AV1,
}


@dataclass(frozen=True, slots=True)
class VideoSupport:
    """The encoder of each codec that this machine can encode, the default codec first.

    ``absence`` completes "this server encodes no video: …" where there is none.
    """

    encoders: Mapping[VideoCodec, str]
    absence: str = ""


class VideoEncoder(Protocol):
    """Encodes one clip as one file, piece after piece. Used by one thread at a time."""

    @property
    def media_type(self) -> str:
        """The file's media type with its codec, for example ``video/mp4; codecs="avc1.64001e"``."""
        ...

    def encode(self, frames: Sequence[Pixels]) -> bytes:
        """The next bytes of the file, which make it playable up to the last of these frames.

        Raises ``VideoFailed`` where the encoder fails, or where a frame has another size than the clip.
        """
        ...

    def close(self) -> None:
        """Frees the encoder, whose file needs no end. May be called more than once."""
        ...
