"""Every metric that a server exports. One registry for each server; knows names and buckets, not when things happen.

Labels are bounded: methods that are not served count as ``other``, reasons are those of ``server.errors``. A request
id is never a label.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics

from server import __version__

if TYPE_CHECKING:
    from engine.types import Capabilities

disable_created_metrics()  # type: ignore[no-untyped-call]  # a `_created` gauge beside each counter tells operators nothing

_CALL_LABELS = ("grpc_type", "grpc_service", "grpc_method")
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0)
_SCORES = (10.0, 20.0, 30.0, 40.0, 50.0, 60.0, 70.0, 80.0, 90.0, 100.0)


@dataclass(frozen=True, slots=True)
class Method:
    """Labels of an RPC."""

    grpc_type: str
    grpc_service: str
    grpc_method: str

    @property
    def labels(self) -> tuple[str, str, str]:
        """In the order of the metrics."""
        return self.grpc_type, self.grpc_service, self.grpc_method


UNKNOWN_METHOD = Method("other", "other", "other")


@dataclass(frozen=True, slots=True)
class MetricRow:
    """One metric as the documentation shows it."""

    name: str
    kind: str
    labels: tuple[str, ...]
    meaning: str


class Metrics:
    """The metrics of one server; ``rows`` lists them."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.rows: list[MetricRow] = []
        self.calls_started = self._counter("grpc_server_started_total", "Calls that began.", _CALL_LABELS)
        self.calls_handled = self._counter(
            "grpc_server_handled_total", "Calls that ended, by status code.", (*_CALL_LABELS, "grpc_code")
        )
        self.messages_sent = self._counter("grpc_server_msg_sent_total", "Messages that readers took.", _CALL_LABELS)
        self.call_seconds = self._histogram(
            "grpc_server_handling_seconds", "Time of a call, from its request to its status.", _CALL_LABELS
        )
        self.queue_jobs = self._gauge("stillcue_queue_jobs", "Jobs that wait behind the running one.")
        self.queue_capacity_jobs = self._gauge("stillcue_queue_capacity_jobs", "Jobs that may wait.")
        self.jobs = self._counter(
            "stillcue_jobs_total", "Jobs that had a place, by how they ended: `completed` or a reason.", ("outcome",)
        )
        self.jobs_rejected = self._counter(
            "stillcue_jobs_rejected_total", "Generate calls that got no place, by reason.", ("reason",)
        )
        self.job_queue_seconds = self._histogram(
            "stillcue_job_queue_seconds", "Time that a job waited for the engine; jobs that got it only."
        )
        self.first_preview_seconds = self._histogram(
            "stillcue_time_to_first_preview_seconds", "Time from a request to its first preview."
        )
        self.first_frame_seconds = self._histogram(
            "stillcue_time_to_first_frame_seconds", "Time from a request to its first decoded frame."
        )
        self.frame_interval_seconds = self._histogram(
            "stillcue_frame_interval_seconds", "Time from one decoded frame of a clip to the next."
        )
        self.denoise_step_seconds = self._histogram(
            "stillcue_denoise_step_seconds", "Time of a denoising step.", ("expert",)
        )
        self.stage_seconds = self._histogram(
            "stillcue_stage_seconds", "Time of a stage; jobs that the engine completed only.", ("stage",)
        )
        self.cancel_latency_seconds = self._histogram(
            "stillcue_cancel_latency_seconds", "Time from a stop of the running job to an idle engine."
        )
        self.stream_stall_seconds = self._histogram(
            "stillcue_stream_stall_seconds", "Time that a ready message of Generate waited for its reader."
        )
        self.match_score = self._histogram(
            "stillcue_match_score", "Match scores of Generate and ScoreMatch, 0 to 100.", buckets=_SCORES
        )
        self._build_info = self._gauge(
            "stillcue_build_info",
            "Always 1; the labels say what runs.",
            ("version", "model", "runtime", "bundle_digest"),
        )

    def describe_build(self, capabilities: Capabilities) -> None:
        """Exports what this server has loaded."""
        self._build_info.labels(
            __version__, capabilities.model_name, capabilities.runtime, capabilities.bundle_digest
        ).set(1)

    def _counter(self, name: str, meaning: str, labels: tuple[str, ...]) -> Counter:
        self.rows.append(MetricRow(name, "counter", labels, meaning))
        return Counter(name, meaning, labels, registry=self.registry)

    def _gauge(self, name: str, meaning: str, labels: tuple[str, ...] = ()) -> Gauge:
        self.rows.append(MetricRow(name, "gauge", labels, meaning))
        return Gauge(name, meaning, labels, registry=self.registry)

    def _histogram(
        self, name: str, meaning: str, labels: tuple[str, ...] = (), buckets: tuple[float, ...] = _SECONDS
    ) -> Histogram:
        self.rows.append(MetricRow(name, "histogram", labels, meaning))
        return Histogram(name, meaning, labels, buckets=buckets, registry=self.registry)
