"""One run of a job in the engine. ``_drive`` alone runs on the engine thread; everything else in the event loop.

The engine never waits for the server: each event is handed to the event loop, and the engine goes on.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

from engine.api.cancellation import CancelFlag
from engine.api.errors import EngineHung, EngineLost, OutOfMemory
from engine.api.events import JobDone, SegmentDone

if TYPE_CHECKING:
    from concurrent.futures import Future

    from engine.api.engine import Engine
    from engine.api.events import Event
    from engine.api.job import PreparedJob
    from server.runtime.engine_thread import EngineThread


class RunObserver(Protocol):
    """Receives what happens in a run, in the event loop."""

    def on_event(self, event: Event) -> None:
        """The engine reports an event."""
        ...

    def on_retry(self) -> None:
        """The engine was lost; the run starts again on the next one and repeats no event."""
        ...

    def on_work_end(self, error: BaseException | None, ended_at: float) -> None:
        """The engine is free since ``ended_at`` on the clock of ``time.perf_counter``; ``error`` None: completed."""
        ...


class EngineRun:
    """Runs a prepared job. ``may_retry``: a job whose engine is lost is done again, once for each of its segments.

    The next engine begins after the complete segments of a chain. The same seed gives the same events on the next
    engine, so the run skips those of the broken segment that were reported before. A segment that loses its engine
    twice is likely to be the cause; a job whose engine hung would hang again.

    Observers get segments without ``end``, whose frames only the next engine needs.
    """

    def __init__(self, engine: Engine, prepared: PreparedJob, *, may_retry: bool) -> None:
        self._engine = engine
        self._prepared = prepared
        self._may_retry = may_retry
        self._complete = list(prepared.begins_after)
        self._reported_count = 0  # events of the segment that runs, or of a clip of one segment
        self._is_retried = False  # that segment lost an engine
        self._cancel = CancelFlag()
        self._loop = asyncio.get_running_loop()

    @property
    def is_cancelled(self) -> bool:
        """``cancel`` was called."""
        return self._cancel.is_set

    def start(self, engine_thread: EngineThread, observer: RunObserver) -> None:
        """Runs the job as soon as the engine thread is free."""
        work = engine_thread.submit(lambda: self._drive(observer))
        work.add_done_callback(lambda done: self._report_end(done, observer))

    def cancel(self) -> None:
        """The engine stops before its next graph call."""
        self._cancel.set()

    def _drive(self, observer: RunObserver) -> None:
        while self._loses_engine(observer):
            self._loop.call_soon_threadsafe(observer.on_retry)

    def _loses_engine(self, observer: RunObserver) -> bool:
        """Reports the events that were not reported before. True: the engine was lost, and the next one may go on."""
        count, job = 0, self._prepared
        if self._complete:
            job = replace(job, begins_after=tuple(self._complete))
        try:
            for event in self._engine.generate(job, self._cancel):
                count += 1
                if count > self._reported_count:
                    self._reported_count = count
                    self._loop.call_soon_threadsafe(observer.on_event, _without_ends(event))
                if isinstance(event, SegmentDone):
                    self._complete_segment(event)
                    count = 0
        except (EngineLost, OutOfMemory) as error:
            if not self._may_retry or self._is_retried or isinstance(error, EngineHung):
                raise
            self._is_retried = True
            return True
        return False

    def _complete_segment(self, segment: SegmentDone) -> None:
        """Keeps what the next engine needs of the segments: of their frames, those of the last one."""
        self._reported_count, self._is_retried = 0, False
        if self._may_retry:
            self._complete = [*(earlier.without_frames() for earlier in self._complete), segment]

    def _report_end(self, work: Future[None], observer: RunObserver) -> None:
        self._loop.call_soon_threadsafe(observer.on_work_end, work.exception(), time.perf_counter())


def _without_ends(event: Event) -> Event:
    match event:
        case SegmentDone():
            return replace(event, end=None)
        case JobDone(chain=chain) if chain is not None:
            segments = tuple(replace(segment, end=None) for segment in chain.segments)
            return replace(event, chain=replace(chain, segments=segments))
    return event
