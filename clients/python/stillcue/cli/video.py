"""Writes frames to an mp4 file (H.264) one by one as they arrive."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import av
from av.video.reformatter import ColorRange, Colorspace

from stillcue.cli.files import replacing
from stillcue.frame_rates import exact_frame_rate

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from av.container import OutputContainer
    from av.video.stream import VideoStream

    from stillcue.cli.frames import Pixels

# ITU-T H.273: 1 means the primaries, transfer and matrix of BT.709. Players guess the colours of untagged files, and
# some guess BT.601, which shifts greens.
_BT709 = 1


class Mp4Writer:
    """An open mp4 file, created by ``open_mp4``."""

    def __init__(self, container: OutputContainer, stream: VideoStream, *, is_lossless: bool) -> None:
        self._container = container
        self._stream = stream
        self._is_lossless = is_lossless
        self._frame_count = 0

    def add(self, pixels: Pixels) -> None:
        """Encodes the next frame, [height, width, 3] uint8 RGB."""
        frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
        if not self._is_lossless:
            frame = frame.reformat(format="yuv420p", dst_colorspace=Colorspace.ITU709)
        frame.pts = self._frame_count
        self._frame_count += 1
        self._container.mux(self._stream.encode(frame))

    def flush(self) -> None:
        """Writes the frames that the encoder still buffers."""
        self._container.mux(self._stream.encode())


@contextmanager
def open_mp4(path: Path, *, width_px: int, height_px: int, frame_rate: float, crf: int | None) -> Iterator[Mp4Writer]:
    """Opens an mp4 file for writing; the file appears under ``path`` only if the block ends without error.

    ``crf`` is H.264's quality, 0 best to 51 worst, in 4:2:0; None stores lossless RGB. The index is written at the
    front, so that players can start before they have read the whole file.
    """
    with replacing(path) as temporary:
        container = av.open(str(temporary), "w", format="mp4", options={"movflags": "+faststart"})
        with container:
            rate = exact_frame_rate(frame_rate)
            if crf is None:
                stream = container.add_stream("libx264rgb", rate=rate, options={"qp": "0"})
                stream.pix_fmt = "rgb24"
            else:
                stream = container.add_stream("libx264", rate=rate, options={"crf": str(crf)})
                stream.pix_fmt = "yuv420p"
                context = stream.codec_context
                context.colorspace = Colorspace.ITU709
                context.color_range = ColorRange.MPEG
                context.color_primaries = context.color_trc = _BT709
            stream.width, stream.height = width_px, height_px
            container.start_encoding()  # fails now, before any frame, if the folder is not writable
            writer = Mp4Writer(container, stream, is_lossless=crf is None)
            yield writer
            writer.flush()
