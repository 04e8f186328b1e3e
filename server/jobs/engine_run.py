"""One run of a job in the engine. ``_drive`` alone runs on the engine thread; everything else in the event loop.

The engine never waits for the server: each event is handed to the event loop, and the engine goes on.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Protocol

from engine.api.cancellation import CancelFlag
from engine.api.errors import EngineHung, EngineLost, OutOfMemory

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
    """Runs a prepared job. ``may_retry``: a job whose engine is lost is done again, once.

    The same seed gives the same events on the next engine, so the run skips the events that were reported before. A job
    that loses its engine twice is likely to be the cause; a job whose engine hung would hang again.
    """

    def __init__(self, engine: Engine, prepared: PreparedJob, *, may_retry: bool) -> None:
        self._engine = engine
        self._prepared = prepared
        self._may_retry = may_retry
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
        reported_count = self._drive_once(observer, skipped_count=0, is_last_try=not self._may_retry)
        if reported_count is not None:
            self._loop.call_soon_threadsafe(observer.on_retry)
            self._drive_once(observer, skipped_count=reported_count, is_last_try=True)

    def _drive_once(self, observer: RunObserver, *, skipped_count: int, is_last_try: bool) -> int | None:
        """Reports all events but the skipped ones; returns their number if the engine was lost, None at the end."""
        count = 0
        try:
            for event in self._engine.generate(self._prepared, self._cancel):
                count += 1
                if count > skipped_count:
                    self._loop.call_soon_threadsafe(observer.on_event, event)
        except (EngineLost, OutOfMemory) as error:
            if is_last_try or isinstance(error, EngineHung):
                raise
            return count
        return None

    def _report_end(self, work: Future[None], observer: RunObserver) -> None:
        self._loop.call_soon_threadsafe(observer.on_work_end, work.exception(), time.perf_counter())
