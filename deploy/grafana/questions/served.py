"""Panels for the question "are callers served?"."""

from __future__ import annotations

from deploy.grafana.dashboard import Question
from deploy.grafana.expressions import OUR_CALLS, increase, rate
from deploy.grafana.panels import Lines, Number, Query

SERVED = Question(
    "Are callers served?",
    (
        Number(
            "Calls failed by the server, 1 h",
            "`job:stillcue_call_faults_per_calls:ratio_increase1h`: share of all calls to the service. Above 1 % the "
            "month's error budget shrinks; the panel on the right shows how calls ended.",
            (Query("job:stillcue_call_faults_per_calls:ratio_increase1h", "{{job}}"),),
            unit="percentunit",
            thresholds=((0.01, "orange"), (0.06, "red")),
            height=8,
        ),
        Lines(
            "Calls by status",
            "`grpc_server_handled_total`: INTERNAL: the server's fault, find the request id in the log; "
            "RESOURCE_EXHAUSTED: see the next row; UNAVAILABLE: servers start or drain.",
            (
                Query(
                    rate("grpc_server_handled_total", "grpc_method, grpc_code", OUR_CALLS),
                    "{{grpc_method}} {{grpc_code}}",
                ),
            ),
            unit="reqps",
            width=10,
        ),
        Lines(
            "Jobs by how they ended",
            "`stillcue_jobs_total`: jobs that were accepted. `completed` should lead; every other outcome is a reason "
            "in docs/errors.md.",
            (Query(increase("stillcue_jobs_total", "outcome"), "{{outcome}}"),),
            width=10,
            is_stacked=True,
        ),
        Lines(
            "NaN in the model",
            "`stillcue_non_finite_total`: should stay at 0. Otherwise the bundle computes NaN or infinity in the stage "
            "and expert of the line: StillcueModelNonFinite in docs/operations.md.",
            (
                Query(
                    increase("stillcue_non_finite_total", "instance, stage, expert"),
                    "{{instance}} {{stage}} {{expert}}",
                ),
            ),
        ),
    ),
)
