"""Panels for the question "is it up, and what is loaded?"."""

from __future__ import annotations

from deploy.grafana.dashboard import Question
from deploy.grafana.expressions import SERVER, increase, quantiles
from deploy.grafana.panels import Labels, Lines, Number, Query

UP = Question(
    "Is it up, and what is loaded?",
    (
        Number(
            "Servers that answer",
            "`up`: targets that Prometheus reaches. Fewer than you run: see StillcueTargetDown in docs/operations.md.",
            (Query('sum(up{job="stillcue"})'),),
            thresholds=(),
        ),
        Number(
            "Servers ready to serve",
            "`stillcue_serving`: servers whose health is SERVING. Fewer than answer: one is starting or draining.",
            (Query(f"sum(stillcue_serving{{{SERVER}}})"),),
        ),
        Number(
            "Youngest server",
            "`process_start_time_seconds`: time since the latest start of a server. Always short: look for crashes, "
            "StillcueRestarts in docs/operations.md.",
            (Query(f'time() - max(process_start_time_seconds{{job="stillcue", {SERVER}}})'),),
            unit="s",
        ),
        Lines(
            "Engines lost",
            "`stillcue_worker_restarts_total`, `stillcue_jobs_begun_again_total`: the worker process ended and was "
            "restarted, and its job was retried if it had a resume window. More than once: StillcueEngineRestarts in "
            "docs/operations.md.",
            (
                Query(increase("stillcue_worker_restarts_total", "instance, reason"), "{{instance}} {{reason}}"),
                Query(increase("stillcue_jobs_begun_again_total", "instance"), "{{instance}} job retried"),
            ),
        ),
        Lines(
            "Time without an engine",
            "`stillcue_worker_down_seconds`: from the loss of an engine until the next is ready: the pause before "
            "the restart, which doubles each time, and the time to open the bundle.",
            quantiles("stillcue_worker_down_seconds"),
            unit="s",
        ),
        Labels(
            "Loaded",
            "`stillcue_build_info`: version, model, runtime and bundle of each server. More than one bundle outside a "
            "roll-out: a server was deployed by hand.",
            (Query(f"stillcue_build_info{{{SERVER}}}"),),
            width=12,
            height=4,
        ),
    ),
)
