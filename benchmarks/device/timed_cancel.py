"""Cancels a job from another thread after some time, and tells how long ago that was."""

from __future__ import annotations

import threading
import time
from types import TracebackType

from engine.api.cancellation import CancelFlag


class TimedCancel:
    """``flag`` is set so many seconds after ``start``, unless the block has ended."""

    def __init__(self, wait_seconds: float) -> None:
        self.flag = CancelFlag()
        self._timer = threading.Timer(wait_seconds, self._ask)
        self._asked_at = 0.0

    def __enter__(self) -> TimedCancel:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._timer.cancel()

    def start(self) -> None:
        """Begins to wait."""
        self._timer.start()

    def seconds_since(self) -> float:
        """Seconds since the flag was set."""
        return time.perf_counter() - self._asked_at

    def _ask(self) -> None:
        self._asked_at = time.perf_counter()
        self.flag.set()
