"""The readers of one job, and what becomes of the job when the last one leaves. Runs in the event loop.

A further attempt has the time of the reader whose deadline is the last; a job without a reader, that of its window.

gRPC ends a handler in the same way for a caller who cancels and for a connection that breaks, so the request says what
a broken stream means (docs/adr/0017): without ``stream.resume_window`` the job ends; with a window the job waits for
a reader for that long.
"""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from typing import TYPE_CHECKING

from engine.api.errors import Cancelled
from server.jobs.state import JobState, StreamEnd

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from server.jobs.deadline import Deadline
    from server.jobs.listener import JobListeners
    from server.jobs.state import JobLife


class JobReaders:
    """Counts the readers of a job, and tells listeners its outcome.

    ``on_unread`` is called when the last reader left and none may come; ``on_window_over`` when no reader came within
    the resume window.
    """

    def __init__(
        self,
        life: JobLife,
        listeners: JobListeners,
        window_seconds: float,
        *,
        on_unread: Callable[[], None],
        on_window_over: Callable[[], None],
    ) -> None:
        self._life = life
        self._listeners = listeners
        self._window_seconds = window_seconds
        self._on_unread = on_unread
        self._on_window_over = on_window_over
        self._window: asyncio.TimerHandle | None = None  # runs while the job waits for a reader
        self._window_ends_at = 0.0  # by the clock of the event loop
        self._deadlines: list[Deadline] = []  # of the readers who read now

    @property
    def remaining_seconds(self) -> float | None:
        """Seconds until the last deadline of the readers, or until the window is over; None: a reader has no deadline.

        0 where no reader may come any more.
        """
        if self._deadlines:
            remaining = [deadline.remaining_seconds for deadline in self._deadlines]
            return None if None in remaining else max(seconds for seconds in remaining if seconds is not None)
        if self._window is None:
            return 0.0
        return max(self._window_ends_at - asyncio.get_running_loop().time(), 0.0)

    @contextmanager
    def reading(self, deadline: Deadline) -> Iterator[None]:
        """Wraps the reading of one reader; how the reading ends decides about the job."""
        self._life.attach()
        self._close_window()
        self._deadlines.append(deadline)
        end = StreamEnd.COMPLETE
        error: BaseException | None = None
        try:
            yield
        except (asyncio.CancelledError, GeneratorExit):
            error = deadline.cause_of_cancel
            end = StreamEnd.BROKEN if isinstance(error, Cancelled) else StreamEnd.FAILED
            raise
        except Exception as raised:
            end, error = StreamEnd.FAILED, raised
            raise
        finally:
            self._deadlines.remove(deadline)
            self._leave(end, error, deadline)

    def work_ended(self) -> None:
        """The resume window of a job without a reader starts again."""
        if self._close_window():
            self._open_window(self._window_seconds)

    def end(self, error: BaseException | None) -> None:
        """No reader may come any more; readers who are there read on. ``error`` is the outcome for a job unread."""
        if self._life.is_unread:
            self._tell_outcome(error)
        self._life.end()
        self._close_window()
        self._listeners.tell(lambda listener: listener.ended())
        self._on_unread()
        self._tell_released()

    def _leave(self, end: StreamEnd, error: BaseException | None, deadline: Deadline) -> None:
        self._life.leave(end)
        if not self._life.is_unread:
            if end is StreamEnd.COMPLETE:
                self._tell_outcome(None)
        elif self._life.state is JobState.DETACHED:
            if end is not StreamEnd.BROKEN:
                self._tell_outcome(error)
            self._open_window(deadline.shorten(self._window_seconds))
        else:
            self.end(error)

    def _open_window(self, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        self._window_ends_at = loop.time() + seconds
        self._window = loop.call_later(seconds, self._on_window_over)
        self._listeners.tell(lambda listener: listener.detached(is_over=self._life.is_over))
        self._tell_released()

    def _close_window(self) -> bool:
        """Returns False where the job did not wait for a reader."""
        if self._window is None:
            return False
        self._window.cancel()
        self._window = None
        self._listeners.tell(lambda listener: listener.attached())
        return True

    def _tell_outcome(self, error: BaseException | None) -> None:
        if not self._life.is_outcome_known:
            self._life.is_outcome_known = True
            self._listeners.tell(lambda listener: listener.outcome_known(error))

    def _tell_released(self) -> None:
        if self._life.is_released:
            self._listeners.tell(lambda listener: listener.released())
