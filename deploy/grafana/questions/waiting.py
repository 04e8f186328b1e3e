"""Panels for the question "how long do callers wait, and which calls are refused?"."""

from __future__ import annotations

from deploy.grafana.dashboard import Question
from deploy.grafana.expressions import JOBS_WINDOW, OUR_CALLS, SERVER, increase, quantile, quantiles
from deploy.grafana.panels import Lines, Query

WAITING = Question(
    "How long do callers wait, and which calls are refused?",
    (
        Lines(
            "Jobs and queue capacity",
            "`stillcue_running_jobs`, `stillcue_queue_jobs`, `stillcue_queue_capacity_jobs`: when the queue is full, "
            "calls are refused; add a GPU.",
            (
                Query(f"sum(stillcue_running_jobs{{{SERVER}}})", "running"),
                Query(f"sum(stillcue_queue_jobs{{{SERVER}}})", "waiting"),
                Query(f"sum(stillcue_queue_capacity_jobs{{{SERVER}}})", "queue capacity"),
            ),
        ),
        Lines(
            "Refused, by reason",
            "`stillcue_jobs_rejected_total`: `queue_full` is load, add a GPU; `server_starting` and `server_draining` "
            "belong to roll-outs; the others are callers' mistakes.",
            (Query(increase("stillcue_jobs_rejected_total", "reason"), "{{reason}}"),),
            is_stacked=True,
        ),
        Lines(
            "Engine utilisation",
            "`stillcue_running_jobs`: share of time in which an engine works. At 100 % every new job waits; the queue "
            "grows from about 80 % on.",
            (
                Query(
                    f"avg by (instance) (avg_over_time(stillcue_running_jobs{{{SERVER}}}[{JOBS_WINDOW}]))",
                    "{{instance}}",
                ),
            ),
            unit="percentunit",
            thresholds=((0.8, "orange"),),
        ),
        Lines(
            "Wait for the engine",
            "`stillcue_job_queue_seconds`: from joining the queue to the start on the engine. Points are single "
            "requests; their ids are in the log.",
            quantiles("stillcue_job_queue_seconds"),
            unit="s",
            width=6,
            has_exemplars=True,
        ),
        Lines(
            "Time to the first preview",
            "`stillcue_time_to_first_preview_seconds`: time until a caller first sees something: queue, encoding and "
            "the first steps.",
            quantiles("stillcue_time_to_first_preview_seconds"),
            unit="s",
            width=6,
            has_exemplars=True,
        ),
        Lines(
            "Time to the first frame",
            "`stillcue_time_to_first_frame_seconds`: queue, denoising and the first decode. It grows with load or with "
            "slower steps; the rows above and below show which.",
            quantiles("stillcue_time_to_first_frame_seconds"),
            unit="s",
            width=6,
            has_exemplars=True,
        ),
        Lines(
            "Time of a whole call",
            "`grpc_server_handling_seconds`: p95 by method. ScoreMatch should answer while Generate is busy.",
            (
                Query(
                    quantile(0.95, "grpc_server_handling_seconds", "grpc_method", OUR_CALLS),
                    "{{grpc_method}} p95",
                ),
            ),
            unit="s",
            width=6,
            has_exemplars=True,
        ),
    ),
)
