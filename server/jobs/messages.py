"""Events of a job's stream, and the interface of their encoder. ``server.rpc.codec`` implements the encoder."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol, TypeAlias

if TYPE_CHECKING:
    from engine.api.chain import SegmentStarted
    from engine.api.events import FrameReady, JobDone, SegmentDone, StageStarted, StepDone
    from engine.api.job import Settings
    from engine.api.match_report import MatchReport
    from engine.api.video import VideoEncoder
    from server.jobs.attempts import AttemptResult, AttemptsReport
    from server.jobs.spec import JobSpec


@dataclass(frozen=True, slots=True)
class Accepted:
    """The first event: the job has a place in the queue. ``wait_seconds`` None: no estimate."""

    spec: JobSpec
    wait_seconds: float | None


@dataclass(frozen=True, slots=True)
class QueueMoved:
    """``position`` jobs are ahead; at 0 the work starts. ``wait_seconds`` None: no estimate."""

    position: int
    wait_seconds: float | None


@dataclass(frozen=True, slots=True)
class Completed:
    """The last event: the engine's summary, and the seconds that the job waited in the queue.

    ``attempts`` None: the request allows one alone.
    """

    spec: JobSpec
    done: JobDone
    queue_seconds: float
    attempts: AttemptsReport | None = None


@dataclass(frozen=True, slots=True)
class VideoChunk:
    """The next bytes of the video file, which hold ``frame_count`` frames. ``media_type`` is "" after the first."""

    index: int
    data: bytes
    frame_count: int
    media_type: str


_SegmentEvent: TypeAlias = (
    "SegmentStarted | StageStarted | MatchReport | StepDone | FrameReady | VideoChunk | SegmentDone"
)
_ClipEvent: TypeAlias = "_SegmentEvent | AttemptResult"
StreamEvent: TypeAlias = "Accepted | QueueMoved | _ClipEvent | Completed"


class Origin(NamedTuple):
    """The attempt and the segment that an event belongs to, from 1, also where there is one alone.

    Both are 0 for an event of the whole job, ``segment`` for one of a whole attempt.
    """

    attempt: int = 0
    segment: int = 0


class Message(Protocol):
    """An encoded event."""

    @property
    def byte_count(self) -> int:
        """About the bytes that the message holds in memory."""
        ...

    def repeatable_digest(self) -> int | None:
        """A digest of 64 bits of what the job gives again if it is done again: pixels and settings, but no times.

        None: the event does not come again, for example news of the queue.
        """
        ...

    def stamp(self, sequence_number: int, elapsed_seconds: float, resume_token: str) -> None:
        """Adds the position in the stream, seconds since the request arrived, and the token ("" for none)."""
        ...

    def SerializeToString(self) -> bytes:  # noqa: N802  the name that protobuf's messages have
        """The message as it is sent."""
        ...


class StreamVideo(Protocol):
    """The video file that a stream carries."""

    @property
    def omits_frames(self) -> bool:
        """The stream carries the file alone, without the frames."""
        ...

    def check(self, settings: Settings) -> None:
        """Raises ``InvalidRequest`` where a clip of these settings cannot be encoded. Takes a while."""
        ...

    def open(self, settings: Settings) -> VideoEncoder:
        """The encoder of a clip. Raises ``VideoFailed``."""
        ...


class StreamEncoder(Protocol):
    """Encodes the events of one stream."""

    @property
    def video(self) -> StreamVideo | None:
        """The video file beside or instead of the frames; None: frames alone."""
        ...

    def pixel_bytes(self, event: StreamEvent) -> int:
        """Bytes of pixels that ``encode`` compresses for this event; 0: ``encode`` is quick."""
        ...

    def encode(self, event: StreamEvent, origin: Origin) -> Message:
        """The message of an event. Safe to call from any thread."""
        ...
