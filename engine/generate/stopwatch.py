"""How long a job and its stages take."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from engine.api.events import Stage


class Stopwatch:
    """Runs from its making on."""

    def __init__(self) -> None:
        self._started = time.perf_counter()
        self.stage_seconds: dict[Stage, float] = {}

    @property
    def elapsed_seconds(self) -> float:
        """Seconds since the start."""
        return time.perf_counter() - self._started

    @contextmanager
    def stage(self, stage: Stage) -> Iterator[None]:
        """Times a stage."""
        started = time.perf_counter()
        yield
        self.stage_seconds[stage] = time.perf_counter() - started
