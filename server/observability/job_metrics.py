"""The metrics of one job. Holds only what the metrics need; every fact on the wire is in ``server.jobs``."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from engine.api.chain import SegmentStarted
from engine.api.events import Event, FrameReady, JobDone, SegmentDone, StepDone
from engine.api.match_report import MatchReport
from server.errors.rules import rule_of
from server.jobs.listener import JobListener
from server.observability.metrics import ACCEPTED, COMPLETED, REJECTED, exemplar_of

if TYPE_CHECKING:
    from server.jobs.attempts import AttemptResult, AttemptsEnd
    from server.observability.metrics import Metrics


class JobMetrics(JobListener):
    """``arrived_at`` is when the request came, on the clock of ``time.perf_counter``."""

    def __init__(self, metrics: Metrics, arrived_at: float, request_id: str) -> None:
        self._metrics = metrics
        self._exemplar = exemplar_of(request_id)
        self._arrived_at = arrived_at
        self._last_frame_at: float | None = None
        self._has_frame = self._has_preview = False
        self._began_at = 0.0
        self._engine_seconds: float | None = None
        self._outcome: str | None = None
        self._stopped_at: float | None = None
        self._score: float | None = None

    def work_started(self, queue_seconds: float) -> None:
        """See ``JobListener``."""
        self._metrics.job_queue_seconds.observe(queue_seconds, self._exemplar)
        self._metrics.running_jobs.inc()
        self._began_at = time.perf_counter()

    def engine_event(self, event: Event) -> None:
        """See ``JobListener``."""
        match event:
            case MatchReport() if self._score is None:  # further attempts score the same pair
                self._score = event.score
                self._metrics.match_score.observe(event.score, self._exemplar)
            case StepDone():
                self._metrics.denoise_step_seconds.labels(event.expert.value, event.work.value).observe(
                    event.step_seconds, self._exemplar
                )
                if event.preview is not None and not self._has_preview:
                    self._has_preview = True
                    self._metrics.first_preview_seconds.observe(time.perf_counter() - self._arrived_at, self._exemplar)
            case FrameReady():
                self._frame()
            case SegmentStarted():
                self._last_frame_at = None
            case SegmentDone():
                self._observe_stages(event.done)
                self._metrics.chains.observe_segment(event, self._exemplar)
            case JobDone():
                if event.chain is None:
                    self._observe_stages(event)
                else:
                    self._metrics.chains.observe_chain(event.chain, self._exemplar)
                self._metrics.memory_peak_bytes.set(event.peak_memory_bytes)
                if event.success is not None:
                    self._metrics.clip_success.observe(event.success.probability, self._exemplar)

    def attempt_ended(self, result: AttemptResult, end: AttemptsEnd | None) -> None:
        """See ``JobListener``."""
        self._metrics.attempts.labels(ACCEPTED if result.is_accepted else REJECTED).inc()
        if end is not None:
            self._metrics.attempts_stopped.labels(end.value).inc()

    def attempt_started(self, number: int) -> None:  # noqa: ARG002
        """See ``JobListener``."""
        self._last_frame_at = None

    def video_encoded(self, frame_count: int, byte_count: int, seconds: float) -> None:  # noqa: ARG002
        """See ``JobListener``."""
        self._metrics.video_encode_seconds.observe(seconds, self._exemplar)
        self._metrics.video_bytes.inc(byte_count)

    def repeated(self) -> None:
        """See ``JobListener``."""
        self._metrics.jobs_repeated.inc()

    def retried(self) -> None:
        """See ``JobListener``."""
        self._metrics.jobs_begun_again.inc()
        self._last_frame_at = None

    def stop_requested(self) -> None:
        """See ``JobListener``. The first request counts."""
        if self._stopped_at is None:
            self._stopped_at = time.perf_counter()

    def work_ended(self, ended_at: float) -> None:
        """See ``JobListener``."""
        self._metrics.running_jobs.dec()
        self._engine_seconds = max(ended_at - self._began_at, 0.0)
        self._count_engine_seconds()
        if self._stopped_at is not None and self._stopped_at <= ended_at:
            self._metrics.cancel_latency_seconds.observe(ended_at - self._stopped_at, self._exemplar)

    def resumed(self) -> None:
        """See ``JobListener``."""
        self._metrics.streams_resumed.inc()

    def detached(self, *, is_over: bool) -> None:  # noqa: ARG002
        """See ``JobListener``."""
        self._metrics.detached_jobs.inc()

    def attached(self) -> None:
        """See ``JobListener``."""
        self._metrics.detached_jobs.dec()

    def outcome_known(self, error: BaseException | None) -> None:
        """See ``JobListener``."""
        self._outcome = outcome = COMPLETED if error is None else rule_of(error).label
        self._metrics.jobs.labels(outcome).inc()
        self._count_engine_seconds()
        if self._score is not None:
            self._metrics.job_match_score.labels(outcome).observe(self._score, self._exemplar)

    def _observe_stages(self, done: JobDone) -> None:
        for stage, seconds in done.stage_seconds.items():
            self._metrics.stage_seconds.labels(stage.value).observe(seconds, self._exemplar)

    def _count_engine_seconds(self) -> None:
        """The engine may be free before or after the caller knows the outcome; the later of both counts."""
        if self._engine_seconds is not None and self._outcome is not None:
            self._metrics.engine_seconds.labels(self._outcome).inc(self._engine_seconds)

    def _frame(self) -> None:
        now = time.perf_counter()
        if not self._has_frame:
            self._has_frame = True
            self._metrics.first_frame_seconds.observe(now - self._arrived_at, self._exemplar)
        if self._last_frame_at is not None:
            self._metrics.frame_interval_seconds.observe(now - self._last_frame_at, self._exemplar)
        self._last_frame_at = now
