"""Panels for the question "how long do callers wait, and where?"."""

from __future__ import annotations

from deploy.grafana.dashboard import Question
from deploy.grafana.fleet.expressions import JOBS_WINDOW, PROXY, increase, quantiles, total
from deploy.grafana.panels import Lines, Query

WAITING = Question(
    "How long do callers wait, and where?",
    (
        Lines(
            "Jobs that wait",
            "`stillcue_queue_jobs`, `haproxy_backend_current_queue`: at the servers, and at HAProxy, which sends a job "
            "to the first free server. Jobs that wait at a server cannot move to a free one.",
            (
                Query(total("stillcue_queue_jobs"), "{{pool}} at servers"),
                Query(f"sum by (pool) (haproxy_backend_current_queue{{{PROXY}}})", "{{pool}} at HAProxy"),
            ),
            is_stacked=True,
        ),
        Lines(
            "Wait at the servers",
            "`stillcue_job_queue_seconds`: from joining a server's queue to the start on its engine, by pool.",
            quantiles("stillcue_job_queue_seconds"),
            unit="s",
        ),
        Lines(
            "Wait at HAProxy",
            "`haproxy_backend_queue_time_average_seconds`: mean of the last 1,024 Generate calls. It comes before the "
            "wait at the servers.",
            (Query(f"max by (pool) (haproxy_backend_queue_time_average_seconds{{{PROXY}}})", "{{pool}}"),),
            unit="s",
        ),
        Lines(
            "Refused by the servers",
            "`stillcue_jobs_rejected_total`, by pool and reason: `queue_full` is load. `server_draining` belongs to "
            "roll-outs: the proxy should have known earlier.",
            (
                Query(
                    increase("stillcue_jobs_rejected_total", "pool, reason", 'reason=~"queue_full|server_.*"'),
                    "{{pool}} {{reason}}",
                ),
            ),
            is_stacked=True,
        ),
        Lines(
            "Refused by HAProxy",
            "`haproxy_backend_http_responses_total`: answers that HAProxy gave itself because its queue was full, a "
            "caller's time in it was over, or no server was up. Callers see NO_REPLICA_FREE.",
            (
                Query(
                    "sum by (pool) "
                    f'(increase(haproxy_backend_http_responses_total{{{PROXY}, code="5xx"}}[{JOBS_WINDOW}]))',
                    "{{pool}}",
                ),
            ),
        ),
        Lines(
            "Jobs given up by callers",
            "`stillcue_jobs_total`, `cancelled` and `deadline_exceeded`: many beside long waits: callers are "
            "impatient, and the engine's time until then is lost.",
            (
                Query(
                    increase("stillcue_jobs_total", "pool, outcome", 'outcome=~"cancelled|deadline_exceeded"'),
                    "{{pool}} {{outcome}}",
                ),
            ),
        ),
    ),
)
