"""Tells in the log how far a stage of opening a bundle has come. Reading and loading gigabytes takes minutes."""

from __future__ import annotations

import logging
import time
from threading import Lock

_log = logging.getLogger(__name__)
_EVERY_SECONDS = 5.0


class Progress:
    """Counts the work of one stage, from any thread. ``unit`` is ``bytes`` or what is counted, for example ``graphs``.

    The log gets a line every few seconds, none for a stage that is over sooner.
    """

    def __init__(self, stage: str, total: int, unit: str) -> None:
        self._stage, self._total, self._unit = stage, total, unit
        self._lock = Lock()
        self._count = 0
        self._told_at = time.monotonic()

    def add(self, count: int) -> bool:
        """Counts finished work. Returns True if this call wrote a line."""
        with self._lock:
            self._count += count
            now = time.monotonic()
            if now - self._told_at < _EVERY_SECONDS:
                return False
            self._told_at = now
            done = f"{self._shown(self._count)} of {self._shown(self._total)}"
        _log.info("%s: %s", self._stage, done)
        return True

    def _shown(self, count: int) -> str:
        return f"{count / 1e9:.1f} GB" if self._unit == "bytes" else f"{count} {self._unit}"
