"""Encodes one clip as fragmented MP4, one fragment for each call of ``encode``.

FFmpeg writes the header of the file when the encoder is opened. PyAV cannot tell a muxer to end its fragment, and a
muxer ends a fragment by itself only when the frame after it comes. So each fragment has a muxer of its own, which takes
0.7 ms; what it writes before the fragment is the header again and is dropped.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from fractions import Fraction
from typing import cast

import av
import numpy as np
from av.container import OutputContainer
from av.video.reformatter import ColorRange, Colorspace

from engine.api.errors import VideoFailed
from engine.api.media import Pixels
from engine.api.video import VIDEO_ENCODERS, VideoCodec
from engine.media.video.options import ENCODER_OPTIONS, key_frame_interval

# ITU-T H.273: 1 means the primaries, transfer and matrix of BT.709. Players guess the colours of untagged files. The
# frames are sRGB, which has the primaries of BT.709; players show video of BT.709 with the transfer of sRGB.
_BT709 = 1
_MUXER_OPTIONS = {
    "movflags": "empty_moov+default_base_moof+frag_custom+frag_discont+skip_trailer",
    "fflags": "+bitexact",
    "avoid_negative_ts": "disabled",  # otherwise each muxer would begin at time 0
}
_FRAGMENT = b"moof"
os.environ.setdefault("SVT_LOG", "1")  # errors only: SVT-AV1 writes its settings to stderr for each clip otherwise


class FragmentedMp4:
    """See ``engine.api.video.VideoEncoder``. ``frame_rate`` is in frames per second, exactly."""

    def __init__(self, encoder: str, width_px: int, height_px: int, frame_rate: Fraction) -> None:
        """``encoder`` is a name of ``VIDEO_ENCODERS``. Raises ``VideoFailed`` where it does not open."""
        if width_px % 2 or height_px % 2:
            raise VideoFailed(f"{width_px}x{height_px} is odd, and 4:2:0 halves width and height of the colours")
        self._shape = (height_px, width_px, 3)
        self._frame_time = 1 / frame_rate
        self._frame_count = self._fragment_count = 0
        header = io.BytesIO()
        with _failures_named(encoder):
            self._container = _muxer(header, {})
            added = self._container.add_stream(encoder, rate=frame_rate, options=dict(ENCODER_OPTIONS[encoder]))
            stream = cast("av.VideoStream", added)
            stream.width, stream.height, stream.pix_fmt = width_px, height_px, "yuv420p"
            stream.time_base = self._frame_time
            context = stream.codec_context
            context.gop_size = key_frame_interval(frame_rate)
            context.colorspace, context.color_range = Colorspace.ITU709, ColorRange.MPEG
            context.color_primaries = context.color_trc = _BT709
            self._container.start_encoding()
        self._encoder = encoder
        self._stream: av.VideoStream | None = stream
        self._header = header.getvalue()

    @property
    def media_type(self) -> str:
        """See ``VideoEncoder``."""
        return f'video/mp4; codecs="{_codec_string(VIDEO_ENCODERS[self._encoder], self._header)}"'

    def encode(self, frames: Sequence[Pixels]) -> bytes:
        """See ``VideoEncoder``. The first call's bytes begin with the header."""
        stream = self._stream
        if stream is None:
            raise VideoFailed("the encoder is closed")
        with _failures_named(self._encoder):
            packets = [packet for pixels in frames for packet in stream.encode(self._picture(pixels))]
            if len(packets) != len(frames):
                raise VideoFailed(f"{self._encoder} gave {len(packets)} of {len(frames)} frames at once")
            fragment = self._fragment(stream, packets)
        return fragment if self._fragment_count > 1 else self._header + fragment

    def close(self) -> None:
        """See ``VideoEncoder``."""
        stream, self._stream = self._stream, None
        if stream is not None:
            with suppress(av.FFmpegError):
                stream.encode(None)  # SVT-AV1 reports an error where it is freed before its end
            with suppress(av.FFmpegError):
                self._container.close()

    def _picture(self, pixels: Pixels) -> av.VideoFrame:
        """The next frame of the clip in 4:2:0."""
        if pixels.shape != self._shape or pixels.dtype != np.uint8:
            raise VideoFailed(f"frame {self._frame_count} is {pixels.shape} {pixels.dtype}, not {self._shape} uint8")
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")
        frame = frame.reformat(format="yuv420p", dst_colorspace=Colorspace.ITU709)
        frame.pts, frame.time_base = self._frame_count, self._frame_time
        self._frame_count += 1
        return frame

    def _fragment(self, encoded: av.VideoStream, packets: Sequence[av.Packet[av.VideoStream]]) -> bytes:
        self._fragment_count += 1
        written = io.BytesIO()
        with _muxer(written, {"fragment_index": str(self._fragment_count)}) as muxer:
            stream = muxer.add_stream_from_template(encoded)
            stream.time_base = self._frame_time
            for packet in packets:
                packet.stream = stream
                muxer.mux(packet)
        data = written.getvalue()
        return data[data.index(_FRAGMENT, len(self._header)) - 4 :]


def _muxer(file: io.BytesIO, options: Mapping[str, str]) -> OutputContainer:
    return av.open(file, "w", format="mp4", options={**_MUXER_OPTIONS, **options})


@contextmanager
def _failures_named(encoder: str) -> Iterator[None]:
    """Raises ``VideoFailed`` for an error of FFmpeg, or where this FFmpeg has no such encoder."""
    try:
        yield
    except (av.FFmpegError, ValueError) as error:
        raise VideoFailed(f"{encoder}: {error}") from error


def _codec_string(codec: VideoCodec, header: bytes) -> str:
    """The codec as RFC 6381 names it, read from the decoder configuration in the header of the file."""
    if codec is VideoCodec.H264:
        start = header.index(b"avcC") + len("avcC")
        return f"avc1.{header[start + 1 : start + 4].hex()}"
    start = header.index(b"av1C") + len("av1C")
    profile, level = header[start + 1] >> 5, header[start + 1] & 0x1F
    tier = "H" if header[start + 2] & 0x80 else "M"
    return f"av01.{profile}.{level:02d}{tier}.08"
