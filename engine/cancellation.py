"""The flag that stops a job. Knows threads; does not know who cancels or why."""

from __future__ import annotations

import threading

from engine.errors import Cancelled


class CancelFlag:
    """Set from any thread; the engine looks at it before every graph call."""

    def __init__(self) -> None:
        self._event = threading.Event()

    def set(self) -> None:
        """Asks the job to stop. Safe to call more than once and after the job's end."""
        self._event.set()

    @property
    def is_set(self) -> bool:
        """Whether a stop was asked for."""
        return self._event.is_set()

    def check(self) -> None:
        """Raises ``Cancelled`` if a stop was asked for."""
        if self._event.is_set():
            raise Cancelled("the job was cancelled")
