"""The stream of one job: events are encoded and put into the event log in order.

Compression of previews and frames, and encoding of the video file, run on a thread pool; the event log keeps the place
of an event until its message is ready.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from engine.api.events import FrameReady
from server.jobs.event_log import EventLog, Slot
from server.jobs.messages import Message
from server.jobs.resume_token import ResumeToken
from server.jobs.video import VideoTrack

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable
    from concurrent.futures import Executor

    from engine.api.job import Settings
    from server.jobs.messages import StreamEncoder, StreamEvent
    from server.jobs.video import EncodedChunk


class JobStream:
    """``run_id`` b"": the stream cannot be resumed. ``arrived_at`` is when the request came, by ``time.perf_counter``.

    ``on_overflow`` is called when unread messages exceed ``max_bytes``, ``on_encoding_error`` with an encoding error,
    ``on_video`` with each chunk of the video file.
    """

    def __init__(
        self,
        encoder: StreamEncoder,
        compressors: Executor,
        settings: Settings,
        *,
        max_bytes: int,
        run_id: bytes,
        arrived_at: float,
        on_overflow: Callable[[], None],
        on_encoding_error: Callable[[BaseException], None],
        on_video: Callable[[EncodedChunk], None],
    ) -> None:
        self._encoder = encoder
        self._compressors = compressors
        self._run_id = run_id
        self._arrived_at = arrived_at
        self._on_overflow = on_overflow
        self._on_encoding_error = on_encoding_error
        self._on_video = on_video
        self._log: EventLog[Message] = EventLog(
            max_bytes, is_resumable=bool(run_id), seal=self._seal, on_overflow=self._overflow
        )
        video = encoder.video
        self._omits_frames = video is not None and video.omits_frames
        self._video = VideoTrack(lambda: video.open(settings), compressors) if video is not None else None

    @property
    def is_over(self) -> bool:
        """The stream takes no further event."""
        return self._log.is_finished

    @property
    def held_bytes(self) -> int:
        """Bytes of the messages in memory."""
        return self._log.held_bytes

    def put(self, event: StreamEvent) -> None:
        """Appends an event. Returns at once; the message of a picture follows when it is compressed.

        The chunk of the video file that a frame completes comes after the frame.
        """
        if not isinstance(event, FrameReady) or not self._omits_frames:
            self._put(event)
        if isinstance(event, FrameReady) and self._video is not None:
            self._put_video(event, self._video)

    def finish(self, error: BaseException | None) -> None:
        """Ends the stream after the events in it, with an error or without."""
        self._log.finish(error)
        if self._video is not None:
            self._video.finish()

    def fail(self, error: BaseException) -> None:
        """Ends the stream now; readers get the error instead of further events."""
        self._log.fail(error)
        self._drop_video()

    def check(self, number: int) -> None:
        """Raises ``EventsDropped`` where the stream cannot be read from this event on."""
        self._log.check(number)

    def messages(self, number: int) -> AsyncGenerator[Message, None]:
        """Yields the messages from this event on; raises the error that the stream ended with."""
        return self._log.messages(number)

    def _put(self, event: StreamEvent) -> None:
        pixel_bytes = self._encoder.pixel_bytes(event)
        if not pixel_bytes:
            message = self._encoder.encode(event)
            self._log.put(message, message.byte_count)
            return
        slot = self._log.reserve(pixel_bytes)
        encoding = asyncio.get_running_loop().run_in_executor(self._compressors, self._encoder.encode, event)
        encoding.add_done_callback(lambda done: self._fill(slot, done))

    def _put_video(self, frame: FrameReady, video: VideoTrack) -> None:
        frames = video.take(frame)
        if not frames:
            return
        slot = self._log.reserve(sum(pixels.nbytes for pixels in frames))
        video.encode(frames).add_done_callback(lambda done: self._fill_video(slot, done))

    def _fill(self, slot: Slot[Message], done: asyncio.Future[Message]) -> None:
        if done.cancelled():
            return
        if error := done.exception():
            self._on_encoding_error(error)
        else:
            message = done.result()
            self._log.fill(slot, message, message.byte_count)

    def _fill_video(self, slot: Slot[Message], done: asyncio.Future[EncodedChunk]) -> None:
        if done.cancelled():
            return
        if error := done.exception():
            self._on_encoding_error(error)
            return
        encoded = done.result()
        self._on_video(encoded)
        message = self._encoder.encode(encoded.chunk)
        self._log.fill(slot, message, message.byte_count)

    def _overflow(self) -> None:
        self._drop_video()
        self._on_overflow()

    def _drop_video(self) -> None:
        if self._video is not None:
            self._video.drop()

    def _seal(self, message: Message, number: int) -> None:
        token = ResumeToken(self._run_id, number + 1).encode() if self._run_id else ""
        message.stamp(number, time.perf_counter() - self._arrived_at, token)
