"""The stream of one job: events are encoded and put into the event log in order.

Compression of previews and frames, and encoding of the video file, run on a thread pool; the event log keeps the place
of an event until its message is ready. Each attempt has a video file of its own. Where the stream carries the frames of
the delivered attempt alone, the messages of frames and chunks are held back.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from engine.api.chain import SegmentStarted
from engine.api.events import FrameReady
from server.errors.refusals import ClipDiffers
from server.jobs.attempts import AttemptResult
from server.jobs.event_log import EventLog, Slot
from server.jobs.held_clips import HeldClips
from server.jobs.messages import Message, Origin, QueueMoved
from server.jobs.resume_token import Progress, ResumeToken
from server.jobs.video import VideoTrack

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Iterable
    from concurrent.futures import Executor

    from engine.api.job import Settings
    from server.jobs.messages import StreamEncoder, StreamEvent, StreamVideo
    from server.jobs.resume_token import Run
    from server.jobs.video import EncodedChunk


class JobStream:
    """``run`` None: the stream cannot be resumed. ``arrived_at`` is when the request came, by ``time.perf_counter``.

    ``received`` is what the caller has of a job that is done again here: those events are compared and not sent again.
    ``holds_clips``: frames and video chunks are sent by ``release`` alone.
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
        run: Run | None,
        received: Progress,
        arrived_at: float,
        holds_clips: bool = False,
        on_overflow: Callable[[], None],
        on_encoding_error: Callable[[BaseException], None],
        on_video: Callable[[EncodedChunk], None],
    ) -> None:
        self._encoder = encoder
        self._compressors = compressors
        self._run = run
        self._received = received
        self._progress = replace(received, event_count=0, digest=0)
        self._arrived_at = arrived_at
        self._on_overflow = on_overflow
        self._on_encoding_error = on_encoding_error
        self._on_video = on_video
        self._log: EventLog[Message] = EventLog(
            max_bytes,
            is_resumable=run is not None,
            seal=self._seal,
            on_overflow=self._overflow,
            first_number=received.next_number,
            repeated_count=received.event_count,
            on_repeated=self._compare,
        )
        self._held = HeldClips(self._log) if holds_clips else None
        self._settings = settings
        self._segment = 1
        self._videos: dict[int, VideoTrack] = {}  # of each attempt whose frames are, or may yet be, encoded

    @property
    def is_over(self) -> bool:
        """The stream takes no further event."""
        return self._log.is_finished

    @property
    def held_bytes(self) -> int:
        """Bytes of the messages in memory."""
        return self._log.held_bytes

    def put(self, event: StreamEvent, attempt: int = 0) -> None:
        """Appends an event of an attempt, 0 for the whole job.

        Returns at once; the message of a picture follows when it is compressed. The chunk of the video file that a
        frame completes comes after the frame.
        """
        video, origin = self._encoder.video, self._origin_of(event, attempt)
        if not isinstance(event, FrameReady) or video is None:
            self._put(event, origin)
            return
        if not video.omits_frames:
            self._put(event, origin)
        self._put_video(event, origin, video)

    def end_attempt(self, attempt: int, best_attempt: int) -> None:
        """No further frame of this attempt comes. Of the clips that are held back, only the best one is kept."""
        if attempt in self._videos:
            self._videos[attempt].finish()
        if self._held is not None:
            self._held.keep_only(best_attempt)
            self._drop_videos(attempt for attempt in list(self._videos) if attempt != best_attempt)

    def release(self, attempt: int) -> None:
        """Appends the frames and chunks of this attempt, if they were held back."""
        if self._held is not None:
            self._held.release(attempt)

    def finish(self, error: BaseException | None) -> None:
        """Ends the stream after the events in it, with an error or without."""
        if error is None and self._log.unrepeated_count:
            error = ClipDiffers()
        self._log.finish(error)
        for video in self._videos.values():
            video.finish()

    def fail(self, error: BaseException) -> None:
        """Ends the stream now; readers get the error instead of further events."""
        self._log.fail(error)
        self._drop_videos()

    def check(self, number: int) -> None:
        """Raises ``EventsDropped`` where the stream cannot be read from this event on."""
        self._log.check(number)

    def messages(self, number: int) -> AsyncGenerator[Message, None]:
        """Yields the messages from this event on; raises the error that the stream ended with."""
        return self._log.messages(number)

    def _origin_of(self, event: StreamEvent, attempt: int) -> Origin:
        if isinstance(event, SegmentStarted):
            self._segment = event.number
        is_of_segment = attempt > 0 and not isinstance(event, AttemptResult)
        return Origin(attempt, self._segment if is_of_segment else 0)

    def _put(self, event: StreamEvent, origin: Origin) -> None:
        pixel_bytes = self._encoder.pixel_bytes(event)
        is_held = isinstance(event, FrameReady)
        if not pixel_bytes:
            message = self._encoder.encode(event, origin)
            if isinstance(event, QueueMoved):
                slot = self._log.reserve(message.byte_count, is_repeatable=False)
            else:
                slot = self._reserve(message.byte_count, origin.attempt, is_held=is_held)
            self._log.fill(slot, message, message.byte_count)
            return
        slot = self._reserve(pixel_bytes, origin.attempt, is_held=is_held)
        encoding = asyncio.get_running_loop().run_in_executor(self._compressors, self._encoder.encode, event, origin)
        encoding.add_done_callback(lambda done: self._fill(slot, done))

    def _put_video(self, frame: FrameReady, origin: Origin, video: StreamVideo) -> None:
        if self.is_over:
            return
        attempt = origin.attempt
        if attempt not in self._videos:
            self._videos[attempt] = VideoTrack(lambda: video.open(self._settings), self._compressors)
        track = self._videos[attempt]
        frames = track.take(frame)
        if not frames:
            return
        slot = self._reserve(sum(pixels.nbytes for pixels in frames), attempt, is_held=True)
        track.encode(frames).add_done_callback(lambda done: self._fill_video(slot, done, origin))

    def _reserve(self, byte_count: int, attempt: int, *, is_held: bool) -> Slot[Message]:
        if self._held is None or not is_held:
            return self._log.reserve(byte_count)
        return self._held.hold(attempt, byte_count)

    def _fill(self, slot: Slot[Message], done: asyncio.Future[Message]) -> None:
        if done.cancelled():
            return
        if error := done.exception():
            self._on_encoding_error(error)
        else:
            message = done.result()
            self._log.fill(slot, message, message.byte_count)

    def _fill_video(self, slot: Slot[Message], done: asyncio.Future[EncodedChunk], origin: Origin) -> None:
        if done.cancelled():
            return
        if error := done.exception():
            self._on_encoding_error(error)
            return
        encoded = done.result()
        self._on_video(encoded)
        message = self._encoder.encode(encoded.chunk, origin)
        self._log.fill(slot, message, message.byte_count)

    def _overflow(self) -> None:
        self._drop_videos()
        self._on_overflow()

    def _drop_videos(self, attempts: Iterable[int] | None = None) -> None:
        """Drops the video files of these attempts; None: of all."""
        for attempt in list(self._videos) if attempts is None else attempts:
            self._videos.pop(attempt).drop()

    def _seal(self, message: Message, number: int) -> None:
        elapsed_seconds = self._received.elapsed_seconds + time.perf_counter() - self._arrived_at
        token = ""
        if self._run is not None:
            self._count(message)
            progress = replace(self._progress, next_number=number + 1, elapsed_seconds=elapsed_seconds)
            token = ResumeToken(self._run, progress).encode()
        message.stamp(number, elapsed_seconds, token)

    def _count(self, message: Message) -> None:
        digest = message.repeatable_digest()
        if digest is not None:
            event_count, total = self._progress.event_count + 1, (self._progress.digest + digest) % 2**64
            self._progress = replace(self._progress, event_count=event_count, digest=total)

    def _compare(self, message: Message) -> None:
        """Compares the events that the caller has with those of this run, once all of them have come."""
        self._count(message)
        if not self._log.is_repeating and self._progress.digest != self._received.digest:
            self._on_encoding_error(ClipDiffers())
