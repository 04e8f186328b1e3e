"""Cancels a job from another thread after some time, and tells how long ago that was."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from engine.api.cancellation import CancelFlag


class TimedCancel:
    """``flag`` is set so many seconds after the block began."""

    def __init__(self, wait_seconds: float) -> None:
        self.flag = CancelFlag()
        self._timer = threading.Timer(wait_seconds, self._ask)
        self._asked_at = 0.0

    @contextmanager
    def running(self) -> Iterator[None]:
        """The block in which the job runs."""
        self._timer.start()
        try:
            yield
        finally:
            self._timer.cancel()
            self._timer.join()

    def seconds_since(self) -> float:
        """Seconds since the flag was set."""
        return time.perf_counter() - self._asked_at

    def _ask(self) -> None:
        self._asked_at = time.perf_counter()
        self.flag.set()
