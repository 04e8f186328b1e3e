"""The flag that stops a job. Knows threads; does not know who cancels or why."""

from __future__ import annotations

import threading
from collections.abc import Callable

from engine.api.errors import Cancelled


class CancelFlag:
    """Set from any thread; the engine looks at it before every graph call."""

    def __init__(self) -> None:
        self._event = threading.Event()
        self._lock = threading.Lock()
        self._listeners: list[Callable[[], None]] = []

    def set(self) -> None:
        """Asks the job to stop. Safe to call more than once and after the job's end."""
        with self._lock:
            self._event.set()
            listeners, self._listeners = self._listeners, []
        for listener in listeners:
            listener()

    def when_set(self, listener: Callable[[], None]) -> None:
        """Calls a function once the flag is set, on the thread that sets it; at once where it is set already."""
        with self._lock:
            if not self._event.is_set():
                self._listeners.append(listener)
                return
        listener()

    @property
    def is_set(self) -> bool:
        """Whether a stop was asked for."""
        return self._event.is_set()

    def check(self) -> None:
        """Raises ``Cancelled`` if a stop was asked for."""
        if self._event.is_set():
            raise Cancelled("the job was cancelled")
