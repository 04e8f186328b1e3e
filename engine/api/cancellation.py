"""The flag that stops a job."""

from __future__ import annotations

import threading
from collections.abc import Callable

from engine.api.errors import Cancelled


class CancelFlag:
    """A thread-safe flag that the engine checks before every graph call."""

    def __init__(self) -> None:
        self._event = threading.Event()
        self._lock = threading.Lock()
        self._listeners: list[Callable[[], None]] = []

    def set(self) -> None:
        """Asks the job to stop. May be called more than once, and after the job ended."""
        with self._lock:
            self._event.set()
            listeners, self._listeners = self._listeners, []
        for listener in listeners:
            listener()

    def when_set(self, listener: Callable[[], None]) -> None:
        """Calls ``listener`` on the thread that sets the flag, or at once if the flag is already set."""
        with self._lock:
            if not self._event.is_set():
                self._listeners.append(listener)
                return
        listener()

    @property
    def is_set(self) -> bool:
        """True once ``set`` was called."""
        return self._event.is_set()

    def check(self) -> None:
        """Raises ``Cancelled`` if the flag is set."""
        if self._event.is_set():
            raise Cancelled("the job was cancelled")
