"""Scripted parts for tests of jobs: engine, engine thread, executor, encoder, listener, timers. Nothing here waits."""

from __future__ import annotations

import asyncio
import zlib
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from engine.api.events import JobDone, Stage, StageStarted
from engine.api.job import MatchMode, PictureFit, PreparedJob, Settings
from engine.api.media import Box
from server.jobs.estimates import Estimate
from server.jobs.listener import JobListener
from server.jobs.messages import Accepted, Completed, Origin, QueueMoved
from server.jobs.replica import Replica
from server.jobs.resume_token import Run
from server.jobs.spec import JobKey, JobSpec
from server.jobs.workers import JobWorkers
from server.runtime.pools import BoundedPool

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import pytest

    from engine.api.cancellation import CancelFlag
    from engine.api.events import Event
    from server.jobs.attempts import AttemptResult, AttemptsEnd
    from server.jobs.messages import StreamEvent, StreamVideo

MATCH, TEXT, DENOISE = (StageStarted(stage) for stage in (Stage.MATCH, Stage.ENCODE_TEXT, Stage.DENOISE))
DONE = JobDone({}, 1.0, 1.0, 0, 40.0, None, ())
PICTURE_BYTES = 2 * 3 * 3
REPLICA = Replica("", b"the same", b"this one")
RUN = Run(b"0123456789abcdef", 7, REPLICA)


def prepared(**settings: Any) -> PreparedJob:
    """A job of 32x32, 9 frames, 4 guided steps, whose picture holds 18 bytes."""
    values: dict[str, Any] = {
        "width_px": 32,
        "height_px": 32,
        "frame_count": 9,
        "frame_rate": 8.0,
        "step_count": 4,
        "guidance_scale": 3.5,
        "guidance_scale_low_noise": 3.5,
        "seed": 7,
        "shift": 5.0,
        "negative_prompt": "",
        "crop": Box(0, 0, 32, 32),
        "picture_fit": PictureFit.CROP_CENTER,
    }
    picture = np.zeros((2, 3, 3), np.uint8)
    return PreparedJob("a fox", picture, Settings(**values | settings), MatchMode.OFF, 0.0, 0)


def job_spec(window_seconds: float = 0.0, request_id: str = "1", caller_name: str = "shop") -> JobSpec:
    """A job that arrived at second 100."""
    digest = b"digest" if window_seconds else b""
    run = RUN if window_seconds else None
    return JobSpec(JobKey(caller_name, request_id), prepared(), Estimate(), window_seconds, digest, 100.0, run=run)


class ScriptedEngine:
    """Every run yields the next script; an exception in a script is raised at its place."""

    def __init__(self, *scripts: Sequence[Event | BaseException]) -> None:
        self.scripts = list(scripts)
        self.runs: list[tuple[PreparedJob, CancelFlag]] = []

    def generate(self, job: PreparedJob, cancel: CancelFlag) -> Iterator[Event]:
        self.runs.append((job, cancel))
        for item in self.scripts.pop(0):
            if isinstance(item, BaseException):
                raise item
            yield item


class HandDrivenThread:
    """Stands for the engine thread; the test runs the submitted functions."""

    def __init__(self) -> None:
        self.work: list[tuple[Callable[[], Any], Future[Any]]] = []

    def submit(self, function: Callable[[], Any]) -> Future[Any]:
        future: Future[Any] = Future()
        self.work.append((function, future))
        return future

    async def run_next(self) -> None:
        """Runs one function, and lets the event loop take what the function reported."""
        function, future = self.work.pop(0)
        try:
            future.set_result(function())
        except BaseException as error:  # noqa: BLE001  the future hands it on, as on the engine thread
            future.set_exception(error)
        await asyncio.sleep(0)


class HandDrivenExecutor(Executor):
    """Stands for the thread pool that compresses pictures; the test runs the submitted functions in any order."""

    def __init__(self) -> None:
        self.work: list[tuple[Callable[[], Any], Future[Any]]] = []
        self.shutdowns: list[tuple[bool, bool]] = []

    def submit(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        self.work.append((lambda: function(*args, **kwargs), future))
        return future

    async def run(self, index: int = 0) -> None:
        function, future = self.work.pop(index)
        try:
            future.set_result(function())
        except Exception as error:  # noqa: BLE001
            future.set_exception(error)
        for _ in range(3):  # the future of the executor, that of the event loop, its callback
            await asyncio.sleep(0)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        self.shutdowns.append((wait, cancel_futures))


@dataclass
class PlainMessage:
    """An event that is not encoded, and the stamps that the message got."""

    event: Any
    byte_count: int
    origin: Origin
    stamps: list[tuple[int, float, str]] = field(default_factory=list)

    def repeatable_digest(self) -> int | None:
        return None if isinstance(self.event, QueueMoved) else digest_of(self.event)

    def stamp(self, sequence_number: int, elapsed_seconds: float, resume_token: str) -> None:
        self.stamps.append((sequence_number, elapsed_seconds, resume_token))

    def SerializeToString(self) -> bytes:
        return repr(self.event).encode()


def digest_of(*events: Any) -> int:
    """The sum of the digests of the events; those of ``Accepted`` and ``Completed`` do not depend on their times."""
    return sum(zlib.crc32(name_of(event).encode()) for event in events)


class PlainEncoder:
    """Every message holds 10 bytes; ``pictures`` are the events that hold so many bytes until they are encoded."""

    video: StreamVideo | None = None

    def __init__(self, pictures: dict[Any, int] | None = None) -> None:
        self.pictures = pictures or {}
        self.error: Exception | None = None

    def pixel_bytes(self, event: StreamEvent) -> int:
        return self.pictures.get(event, 0) if isinstance(event, StageStarted) else 0

    def encode(self, event: StreamEvent, origin: Origin) -> PlainMessage:
        if self.error is not None:
            raise self.error
        return PlainMessage(event, 10, origin)


def name_of(event: Any) -> str:
    """A short name: ``match``, ``queue 2``."""
    if isinstance(event, StageStarted):
        return event.stage.value
    if isinstance(event, QueueMoved):
        return f"queue {event.position}"
    return {Accepted: "accepted", Completed: "completed"}.get(type(event), type(event).__name__)


class RecordingListener(JobListener):
    """Records the calls, such as ``("outcome_known", None)``. Times are left out."""

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []

    @property
    def names(self) -> list[str]:
        return [call[0] for call in self.calls]

    def take(self) -> list[tuple[Any, ...]]:
        """The calls since the last ``take``."""
        calls, self.calls = self.calls, []
        return calls

    def work_started(self, queue_seconds: float) -> None:
        self.calls.append(("work_started", queue_seconds))

    def engine_event(self, event: Event) -> None:
        self.calls.append(("engine_event", event))

    def attempt_ended(self, result: AttemptResult, end: AttemptsEnd | None) -> None:
        self.calls.append(("attempt_ended", result, end))

    def attempt_started(self, number: int) -> None:
        self.calls.append(("attempt_started", number))

    def repeated(self) -> None:
        self.calls.append(("repeated",))

    def retried(self) -> None:
        self.calls.append(("retried",))

    def stop_requested(self) -> None:
        self.calls.append(("stop_requested",))

    def work_ended(self, ended_at: float) -> None:
        self.calls.append(("work_ended", ended_at))

    def place_left(self) -> None:
        self.calls.append(("place_left",))

    def resumed(self) -> None:
        self.calls.append(("resumed",))

    def detached(self, *, is_over: bool) -> None:
        self.calls.append(("detached", is_over))

    def attached(self) -> None:
        self.calls.append(("attached",))

    def outcome_known(self, error: BaseException | None) -> None:
        self.calls.append(("outcome_known", error))

    def released(self) -> None:
        self.calls.append(("released",))

    def ended(self) -> None:
        self.calls.append(("ended",))


class Clock:
    """Time that the test moves."""

    def __init__(self, seconds: float = 0.0) -> None:
        self.seconds = seconds

    def __call__(self) -> float:
        return self.seconds

    perf_counter = monotonic = __call__


@dataclass
class Timer:
    """A callback that the test fires."""

    seconds: float
    callback: Callable[[], object]
    is_cancelled: bool = False

    def cancel(self) -> None:
        self.is_cancelled = True

    def fire(self) -> None:
        assert not self.is_cancelled
        self.callback()


class Timers:
    """Takes the place of ``call_later`` of the running event loop."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.all: list[Timer] = []
        monkeypatch.setattr(asyncio.get_running_loop(), "call_later", self._call_later)

    @property
    def running(self) -> list[Timer]:
        return [timer for timer in self.all if not timer.is_cancelled]

    def _call_later(self, seconds: float, callback: Callable[[], object]) -> Timer:
        timer = Timer(seconds, callback)
        self.all.append(timer)
        return timer


def job_workers(engine: Any, thread: Any, compressors: Executor, max_buffered_bytes: int = 1_000) -> JobWorkers:
    """Workers around a scripted engine. ``preparers`` has one thread, which starts with its first function."""
    return JobWorkers(engine, thread, BoundedPool("prepare", 1, 1), compressors, max_buffered_bytes)
