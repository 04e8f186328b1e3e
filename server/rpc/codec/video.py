"""The video file that a request asks for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from engine import check_video, open_video_encoder
from engine.api.errors import VideoFailed
from server.errors.refusals import FieldViolation, InvalidRequest
from server.rpc.codec.enums import VIDEO_CODECS, VIDEO_CONTAINERS, decode_enum
from stillcue.frame_rates import exact_frame_rate

if TYPE_CHECKING:
    from fractions import Fraction

    from engine.api.job import Settings
    from engine.api.video import VideoCodec, VideoEncoder, VideoSupport
    from stillcue.v1 import generate_pb2

_CONTAINER, _CODEC, _OMIT_FRAMES = "stream.video_container", "stream.video_codec", "stream.omit_frames"


@dataclass(frozen=True, slots=True)
class VideoFile:
    """See ``server.jobs.messages.StreamVideo``. ``encoder`` is the name of the codec's encoder."""

    codec: VideoCodec
    encoder: str
    omits_frames: bool

    def check(self, settings: Settings) -> None:
        """See ``StreamVideo``."""
        try:
            check_video(self.encoder, *_size_and_rate(settings))
        except VideoFailed as error:
            size = f"{settings.width_px}x{settings.height_px} at {settings.frame_rate:g} frames/s"
            remedy = "ask for another size or codec, or leave the container unset for the frames alone"
            raise InvalidRequest(
                FieldViolation(_CONTAINER, f"cannot hold {size}: {self.codec.name} does not open for it; {remedy}")
            ) from error

    def open(self, settings: Settings) -> VideoEncoder:
        """See ``StreamVideo``."""
        return open_video_encoder(self.encoder, *_size_and_rate(settings))


@dataclass(frozen=True, slots=True)
class VideoWish:
    """The video file that a request asks for. ``codec`` None: the server's first."""

    codec: VideoCodec | None
    omits_frames: bool


def decode_video(stream: generate_pb2.StreamSpec, violations: list[FieldViolation]) -> VideoWish | None:
    """The video file of a request; None: it asks for none, or its fields are wrong."""
    container = decode_enum(VIDEO_CONTAINERS, stream.video_container, _CONTAINER, violations)
    codec = decode_enum(VIDEO_CODECS, stream.video_codec, _CODEC, violations)
    if not stream.video_container:
        for path, is_set in ((_CODEC, stream.video_codec), (_OMIT_FRAMES, stream.omit_frames)):
            if is_set:
                violations.append(FieldViolation(path, f"needs {_CONTAINER}; set both, or neither"))
    return None if container is None else VideoWish(codec, stream.omit_frames)


def choose_video(wish: VideoWish, support: VideoSupport) -> VideoFile | FieldViolation:
    """The video file with the encoder that this machine has for it, or why there is none."""
    if not support.encoders:
        return FieldViolation(
            _CONTAINER, f"is set, and this server encodes no video: {support.absence}. Leave it unset for frames"
        )
    codec = wish.codec or next(iter(support.encoders))
    if codec not in support.encoders:
        offered = ", ".join(item.name for item in support.encoders)
        return FieldViolation(_CODEC, f"is {codec.name}; this server encodes {offered}")
    return VideoFile(codec, support.encoders[codec], wish.omits_frames)


def _size_and_rate(settings: Settings) -> tuple[int, int, Fraction]:
    return settings.width_px, settings.height_px, exact_frame_rate(settings.frame_rate)
