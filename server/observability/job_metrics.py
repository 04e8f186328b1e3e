"""Turns what happens to one job into metrics and spans. Knows events and clocks; changes nothing."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from engine.api.events import Event, FrameReady, JobDone, StepDone
from engine.api.match_report import MatchReport
from server.observability.metrics import FAULTS, exemplar_of

if TYPE_CHECKING:
    from server.observability.metrics import Metrics
    from server.observability.tracing import JobTrace


class JobMeter:
    """``arrived_at`` is when the request came, on the clock of ``time.perf_counter``."""

    def __init__(self, metrics: Metrics, arrived_at: float, request_id: str, trace: JobTrace) -> None:
        self._metrics = metrics
        self._trace = trace
        self._exemplar = exemplar_of(request_id)
        self.arrived_at = arrived_at
        self._queued_at = time.perf_counter()
        self._last_frame_at: float | None = None
        self._has_preview = False
        self._has_ended = False
        self._stopped_at: float | None = None
        self._score: float | None = None
        self.queue_seconds = 0.0

    def work_started(self) -> None:
        """The engine is the job's."""
        self.queue_seconds = time.perf_counter() - self._queued_at
        self._metrics.job_queue_seconds.observe(self.queue_seconds, self._exemplar)
        self._metrics.running_jobs.inc()
        self._trace.work_started()

    def event(self, event: Event) -> None:
        """The engine reported something."""
        self._trace.event(event)
        match event:
            case MatchReport():
                self._score = event.score
                self._metrics.match_score.observe(event.score, self._exemplar)
            case StepDone():
                self._metrics.denoise_step_seconds.labels(event.expert.value).observe(
                    event.step_seconds, self._exemplar
                )
                if event.preview is not None and not self._has_preview:
                    self._has_preview = True
                    self._metrics.first_preview_seconds.observe(time.perf_counter() - self.arrived_at, self._exemplar)
            case FrameReady():
                self._frame()
            case JobDone():
                for stage, seconds in event.stage_seconds.items():
                    self._metrics.stage_seconds.labels(stage.value).observe(seconds, self._exemplar)
                self._metrics.memory_peak_bytes.set(event.peak_memory_bytes)

    def begun_again(self) -> None:
        """The engine was lost and the next one does the job from its beginning."""
        self._metrics.jobs_begun_again.inc()
        self._trace.note("begun again")
        self._last_frame_at = None

    def stop_requested(self) -> None:
        """The running job was asked to stop."""
        if self._stopped_at is None:
            self._stopped_at = time.perf_counter()

    def work_ended(self, ended_at: float) -> None:
        """The engine is idle again, since ``ended_at`` on the clock of ``time.perf_counter``."""
        self._metrics.running_jobs.dec()
        self._trace.work_ended()
        if self._stopped_at is not None and self._stopped_at <= ended_at:
            self._metrics.cancel_latency_seconds.observe(ended_at - self._stopped_at, self._exemplar)

    def joined(self) -> None:
        """A stream of the job was taken up again, or joined."""
        self._metrics.streams_resumed.inc()
        self._trace.note("stream taken up again")

    def detached(self, change: int) -> None:
        """1: nobody reads the job any more, and its caller may come back; -1: that is over."""
        self._metrics.detached_jobs.inc(change)

    def job_ended(self, outcome: str) -> None:
        """The caller was told how the job ended: ``completed`` or a reason. The first call counts."""
        if self._has_ended:
            return
        self._has_ended = True
        self._metrics.jobs.labels(outcome).inc()
        self._trace.job_ended(outcome, is_fault=outcome in FAULTS)
        if self._score is not None:
            self._metrics.job_match_score.labels(outcome).observe(self._score, self._exemplar)

    def _frame(self) -> None:
        now = time.perf_counter()
        if self._last_frame_at is None:
            self._metrics.first_frame_seconds.observe(now - self.arrived_at, self._exemplar)
        else:
            self._metrics.frame_interval_seconds.observe(now - self._last_frame_at, self._exemplar)
        self._last_frame_at = now
