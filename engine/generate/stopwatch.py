"""Measures the duration of a job and of its stages."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from engine.api.events import Stage


class Stopwatch:
    """Starts when constructed."""

    def __init__(self) -> None:
        self._started = time.perf_counter()
        self.stage_seconds: dict[Stage, float] = {}

    @property
    def elapsed_seconds(self) -> float:
        """Seconds since the start."""
        return time.perf_counter() - self._started

    @contextmanager
    def stage(self, stage: Stage) -> Iterator[None]:
        """Measures one stage into ``stage_seconds``."""
        started = time.perf_counter()
        yield
        self.stage_seconds[stage] = time.perf_counter() - started
