"""The video file of one job: frames are encoded in order, and become chunks of the stream.

Frame 0 is a chunk of its own; then follows one chunk for each latent frame, whose frames the engine decodes together.
Frames wait in the event loop while the frames before them are encoded on a thread of the pool. The encoder is opened
with the first frame, so that a job that waits holds none, and closed after the last one, or when the stream fails.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from server.jobs.messages import VideoChunk

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from concurrent.futures import Executor

    from engine.api.events import FrameReady
    from engine.api.media import Pixels
    from engine.api.video import VideoEncoder

_FRAMES_OF_A_LATENT_FRAME = 4
# A response has at most 8 MiB. No encoder writes more bytes than 4:2:0 has, which is half of RGB; frames of more than
# 1.2 million pixels therefore come two in a chunk.
_MAX_CHUNK_BYTES = 7 * 2**20


@dataclass(frozen=True, slots=True)
class EncodedChunk:
    """A chunk, and the seconds that its encoding took."""

    chunk: VideoChunk
    seconds: float


@dataclass(frozen=True, slots=True)
class _Work:
    frames: Sequence[Pixels]
    done: asyncio.Future[EncodedChunk]


class VideoTrack:
    """Used in the event loop only; ``_Writer`` alone works on threads, one call after the other."""

    def __init__(self, open_encoder: Callable[[], VideoEncoder], executor: Executor) -> None:
        self._writer = _Writer(open_encoder)
        self._executor = executor
        self._gathered: list[Pixels] = []
        self._waiting: deque[_Work] = deque()
        self._is_working = False
        self._is_over = False

    def take(self, frame: FrameReady) -> Sequence[Pixels]:
        """Takes the next frame; returns the frames of the chunk that it completes, none where it completes none."""
        self._gathered.append(frame.pixels)
        has_room = (len(self._gathered) + 1) * frame.pixels.nbytes // 2 <= _MAX_CHUNK_BYTES
        if frame.index % _FRAMES_OF_A_LATENT_FRAME and has_room:
            return ()
        frames, self._gathered = self._gathered, []
        return frames

    def encode(self, frames: Sequence[Pixels]) -> asyncio.Future[EncodedChunk]:
        """Encodes the frames of one chunk after those of all earlier calls; cancelled where the file is over."""
        work = _Work(frames, asyncio.get_running_loop().create_future())
        if self._is_over:
            work.done.cancel()
        else:
            self._waiting.append(work)
            self._go_on()
        return work.done

    def finish(self) -> None:
        """No further frame comes. The encoder is closed once the frames that wait are encoded."""
        self._is_over = True
        self._gathered = []
        self._go_on()

    def drop(self) -> None:
        """Nobody needs the file any more: the frames that wait are not encoded."""
        for work in self._waiting:
            work.done.cancel()
        self._waiting.clear()
        self.finish()

    def _go_on(self) -> None:
        if self._is_working:
            return
        if self._waiting:
            self._is_working = True
            work = self._waiting.popleft()
            encoding = asyncio.get_running_loop().run_in_executor(self._executor, self._writer.encode, work.frames)
            encoding.add_done_callback(lambda done: self._encoded(work, done))
        elif self._is_over and self._writer.is_open:
            with suppress(RuntimeError):  # the server stops and takes no further work; the encoder goes with it
                self._executor.submit(self._writer.close)

    def _encoded(self, work: _Work, encoding: asyncio.Future[EncodedChunk]) -> None:
        self._is_working = False
        if encoding.cancelled():
            work.done.cancel()
        elif (error := encoding.exception()) is not None:
            work.done.set_exception(error)
            self.drop()
        else:
            work.done.set_result(encoding.result())
        self._go_on()


class _Writer:
    """The encoder of one file, with the numbers of its chunks."""

    def __init__(self, open_encoder: Callable[[], VideoEncoder]) -> None:
        self._open_encoder = open_encoder
        self._encoder: VideoEncoder | None = None
        self._chunk_count = 0

    @property
    def is_open(self) -> bool:
        return self._encoder is not None

    def encode(self, frames: Sequence[Pixels]) -> EncodedChunk:
        started_at = time.perf_counter()
        if self._encoder is None:
            self._encoder = self._open_encoder()
        media_type = "" if self._chunk_count else self._encoder.media_type
        chunk = VideoChunk(self._chunk_count, self._encoder.encode(frames), len(frames), media_type)
        self._chunk_count += 1
        return EncodedChunk(chunk, time.perf_counter() - started_at)

    def close(self) -> None:
        encoder, self._encoder = self._encoder, None
        if encoder is not None:
            encoder.close()
