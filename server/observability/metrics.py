"""Every metric that a server exports: names, labels, buckets and meanings. One registry for each server.

Labels are bounded: unknown methods count as ``other``, reasons are those of ``server.errors.rules``. A request id is
never a label; histograms carry it as the exemplar of a bucket, which only the OpenMetrics format shows.

Counters with known labels start at 0: a series that first appears with the value 1 shows no increase.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from prometheus_client import disable_created_metrics

from engine.api.engine import LossReason
from engine.api.events import Expert, Stage
from server import __version__
from server.errors.rules import all_rules
from server.jobs.attempts import AttemptsEnd
from server.observability.chain_metrics import ChainMetrics
from server.observability.metric_table import PROBABILITIES, MetricTable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from engine.api.capabilities import Capabilities
    from server.observability.gpus import Gpu

disable_created_metrics()  # type: ignore[no-untyped-call]  # a `_created` gauge beside each counter is of no use

_CALL_LABELS = ("grpc_type", "grpc_service", "grpc_method")
_GPU_LABELS = ("gpu", "gpu_name")
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
COMPLETED = "completed"
ACCEPTED, REJECTED = "accepted", "rejected"
REASONS = tuple(rule.label for rule in all_rules())
# Stages whose graphs compute, denoising by expert; the other stages have no expert.
_PARTS = (
    *((stage.value, "") for stage in Stage if stage is not Stage.DENOISE),
    *((Stage.DENOISE.value, expert.value) for expert in Expert),
)
_CODES = ("OK", *sorted({rule.code.name for rule in all_rules()}))


def exemplar_of(request_id: str) -> dict[str, str] | None:
    """The exemplar that leads from a bucket to the log: one request in the bucket. None without an id."""
    return {"request_id": request_id} if request_id else None


class Metrics(MetricTable):
    """The metrics of one server; ``rows`` lists them."""

    def __init__(self) -> None:
        super().__init__()
        self.calls_started = self.counter("grpc_server_started_total", "Calls that started.", _CALL_LABELS)
        self.calls_handled = self.counter(
            "grpc_server_handled_total", "Calls that ended, by status code.", (*_CALL_LABELS, "grpc_code")
        )
        self.messages_sent = self.counter("grpc_server_msg_sent_total", "Messages sent to readers.", _CALL_LABELS)
        self.call_seconds = self.histogram(
            "grpc_server_handling_seconds", "Duration of a call, from request to status.", _CALL_LABELS
        )
        self.is_serving = self.gauge("stillcue_serving", "1 while health says SERVING, else 0.")
        self.is_draining = self.gauge("stillcue_draining", "1 from the signal to stop on, else 0.")
        self.running_jobs = self.gauge("stillcue_running_jobs", "Jobs that run in the engine: 0 or 1.")
        self.queue_jobs = self.gauge("stillcue_queue_jobs", "Jobs that wait behind the running one.")
        self.queue_capacity_jobs = self.gauge("stillcue_queue_capacity_jobs", "Jobs that may wait.")
        self.jobs = self.counter(
            "stillcue_jobs_total",
            f"Admitted jobs, by outcome: `{COMPLETED}` or a reason.",
            ("outcome",),
            (COMPLETED, *REASONS),
        )
        self.engine_seconds = self.counter(
            "stillcue_engine_seconds_total",
            "Time that jobs held the engine, by outcome of the job; counted once the job has ended.",
            ("outcome",),
            (COMPLETED, *REASONS),
        )
        self.jobs_rejected = self.counter(
            "stillcue_jobs_rejected_total", "Generate calls that were refused, by reason.", ("reason",), REASONS
        )
        self.job_queue_seconds = self.histogram(
            "stillcue_job_queue_seconds",
            "Time that a job waited for the engine. Only jobs that reached the engine count.",
        )
        self.first_preview_seconds = self.histogram(
            "stillcue_time_to_first_preview_seconds", "Time from a request to its first preview."
        )
        self.first_frame_seconds = self.histogram(
            "stillcue_time_to_first_frame_seconds", "Time from a request to its first decoded frame."
        )
        self.frame_interval_seconds = self.histogram(
            "stillcue_frame_interval_seconds", "Time from one decoded frame to the next of the same segment."
        )
        self.video_encode_seconds = self.histogram(
            "stillcue_video_encode_seconds",
            "Time to encode one chunk of a video file: frame 0 with the opening of the encoder, or four frames.",
        )
        self.video_bytes = self.counter("stillcue_video_bytes_total", "Bytes of video files that were encoded.")
        self.denoise_step_seconds = self.histogram(
            "stillcue_denoise_step_seconds",
            "Duration of a denoising step, by expert and by what was computed in it: `full`, or less where the job "
            "reuses earlier steps.",
            ("expert", "work"),
        )
        self.stage_seconds = self.histogram(
            "stillcue_stage_seconds",
            "Duration of a stage, in a chain of a segment's. Only clips and segments that the engine completed count.",
            ("stage",),
        )
        self.cancel_latency_seconds = self.histogram(
            "stillcue_cancel_latency_seconds",
            "Time from stopping the running job, for example by a cancel, until the engine is idle.",
        )
        self.stream_stall_seconds = self.histogram(
            "stillcue_stream_stall_seconds", "Time that a ready Generate message waited for its reader."
        )
        self.streams_resumed = self.counter(
            "stillcue_streams_resumed_total", "Streams that were resumed, by resume token or by the same request again."
        )
        self.detached_jobs = self.gauge(
            "stillcue_detached_jobs", "Running and ended jobs without a reader that are kept for resuming."
        )
        self.replay_bytes = self.gauge("stillcue_replay_bytes", "Bytes that ended jobs hold for resuming.")
        self.match_score = self.histogram(
            "stillcue_match_score", "Match scores of Generate and ScoreMatch, 0 to 100.", buckets=_SCORES
        )
        self.job_match_score = self.histogram(
            "stillcue_job_match_score",
            "Match scores of jobs, by outcome. Only scored jobs count.",
            ("outcome",),
            _SCORES,
        )
        self.clip_success = self.histogram(
            "stillcue_clip_success",
            "Judged success of complete clips, a probability, of each attempt. Only where the bundle has a fit for it.",
            buckets=PROBABILITIES,
        )
        self.attempts = self.counter(
            "stillcue_attempts_total",
            "Attempts that ended with a complete clip, by outcome. Only jobs whose request allows several count.",
            ("outcome",),
            (ACCEPTED, REJECTED),
        )
        self.attempts_stopped = self.counter(
            "stillcue_attempts_stopped_total",
            "Jobs whose request allows several attempts, by the reason why no further one was made.",
            ("reason",),
            tuple(end.value for end in AttemptsEnd),
        )
        self.chains = ChainMetrics(self)
        self.worker_restarts = self.counter(
            "stillcue_worker_restarts_total",
            "Times that the worker process was lost and restarted, by reason.",
            ("reason",),
            tuple(reason.value for reason in LossReason),
        )
        self.jobs_begun_again = self.counter(
            "stillcue_jobs_begun_again_total",
            "Retries of jobs with a resume window because the worker process was lost while they ran; a chain may be "
            "retried once in each segment.",
        )
        self.jobs_repeated = self.counter(
            "stillcue_jobs_repeated_total",
            "Jobs that began on another server of the fleet, which was gone, and were done again on this one.",
        )
        self.worker_down_seconds = self.histogram(
            "stillcue_worker_down_seconds", "Time from the loss of the worker process until the next one is ready."
        )
        self._worker_resident_bytes = self.gauge(
            "stillcue_worker_resident_memory_bytes",
            "Host memory of the worker process. 0: no worker runs, or the engine is in the server's process.",
        )
        self.out_of_memory = self.counter(
            "stillcue_gpu_oom_total", "Calls that failed because the device ran out of memory."
        )
        self.non_finite = self.counter(
            "stillcue_non_finite_total",
            "Calls that failed because the model computed NaN or infinity, by stage and, while denoising, expert.",
            ("stage", "expert"),
        )
        for stage, expert in _PARTS:
            self.non_finite.labels(stage, expert)
        self.memory_peak_bytes = self.gauge(
            "stillcue_gpu_memory_peak_bytes",
            "Peak memory that the last completed job reported: on a GPU of the GPU, on a CPU of the process.",
        )
        self._memory_planned_bytes = self.gauge(
            "stillcue_memory_planned_bytes", "Memory that the memory plan of the largest job takes. 0: no plan."
        )
        self._memory_budget_bytes = self.gauge(
            "stillcue_memory_budget_bytes", "Memory that the memory plan may take. +Inf: no limit."
        )
        self._gpu_used_bytes = self.gauge(
            "stillcue_gpu_memory_used_bytes", "Used memory of a GPU, by all processes.", _GPU_LABELS
        )
        self._gpu_total_bytes = self.gauge("stillcue_gpu_memory_total_bytes", "Total memory of a GPU.", _GPU_LABELS)
        self._gpu_utilization_ratio = self.gauge(
            "stillcue_gpu_utilization_ratio",
            "Share of the driver's last sampling period in which the GPU was busy.",
            _GPU_LABELS,
        )
        self._build_info = self.gauge(
            "stillcue_build_info",
            "Always 1. The labels name version, model, runtime, bundle, and device: `cpu`, or the GPU as `cuda:0`.",
            ("version", "model", "runtime", "bundle_digest", "device"),
        )

        self.add_process()

    def expect_calls(self, methods: Iterable[Method]) -> None:
        """Starts the counters of methods at 0."""
        for method in methods:
            self.calls_started.labels(*method.labels)
            for code in _CODES:
                self.calls_handled.labels(*method.labels, code)

    def watch_gpus(self, gpus: Iterable[Gpu]) -> None:
        """Exports the readings of GPUs; each scrape reads them anew."""
        for gpu in gpus:
            labels = str(gpu.index), gpu.name
            self._gpu_used_bytes.labels(*labels).set_function(gpu.used_bytes)
            self._gpu_total_bytes.labels(*labels).set_function(gpu.total_bytes)
            self._gpu_utilization_ratio.labels(*labels).set_function(gpu.utilization_ratio)

    def watch_worker(self, resident_bytes: Callable[[], float]) -> None:
        """Exports the host memory of the worker process; each scrape reads it anew."""
        self._worker_resident_bytes.set_function(resident_bytes)

    def describe_build(self, capabilities: Capabilities) -> None:
        """Exports the memory plan of the loaded bundle, and what the server runs."""
        budget_bytes = capabilities.memory_budget_bytes
        self._memory_budget_bytes.set(math.inf if budget_bytes is None else budget_bytes)
        self._memory_planned_bytes.set(max((plan.peak_bytes for plan in capabilities.memory_plans), default=0))
        self._build_info.labels(
            __version__,
            capabilities.model_name,
            capabilities.runtime,
            capabilities.bundle_digest,
            capabilities.device,
        ).set(1)
