"""Turns what happens to one job into metrics. Knows events and clocks; changes nothing."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from engine.types import Event, FrameReady, JobDone, MatchReport, StepDone

if TYPE_CHECKING:
    from server.metrics import Metrics


class JobMeter:
    """``arrived_at`` is when the request came, on the clock of ``time.perf_counter``."""

    def __init__(self, metrics: Metrics, arrived_at: float) -> None:
        self._metrics = metrics
        self._arrived_at = arrived_at
        self._queued_at = time.perf_counter()
        self._last_frame_at: float | None = None
        self._has_preview = False
        self._stopped_at: float | None = None
        self.queue_seconds = 0.0

    def work_started(self) -> None:
        """The engine is the job's."""
        self.queue_seconds = time.perf_counter() - self._queued_at
        self._metrics.job_queue_seconds.observe(self.queue_seconds)

    def event(self, event: Event) -> None:
        """The engine reported something."""
        match event:
            case MatchReport():
                self._metrics.match_score.observe(event.score)
            case StepDone():
                self._metrics.denoise_step_seconds.labels(event.expert.value).observe(event.step_seconds)
                if event.preview is not None and not self._has_preview:
                    self._has_preview = True
                    self._metrics.first_preview_seconds.observe(time.perf_counter() - self._arrived_at)
            case FrameReady():
                self._frame()
            case JobDone():
                for stage, seconds in event.stage_seconds.items():
                    self._metrics.stage_seconds.labels(stage.value).observe(seconds)

    def stop_requested(self) -> None:
        """The running job was asked to stop."""
        if self._stopped_at is None:
            self._stopped_at = time.perf_counter()

    def work_ended(self) -> None:
        """The engine is idle again."""
        if self._stopped_at is not None:
            self._metrics.cancel_latency_seconds.observe(time.perf_counter() - self._stopped_at)

    def _frame(self) -> None:
        now = time.perf_counter()
        if self._last_frame_at is None:
            self._metrics.first_frame_seconds.observe(now - self._arrived_at)
        else:
            self._metrics.frame_interval_seconds.observe(now - self._last_frame_at)
        self._last_frame_at = now
