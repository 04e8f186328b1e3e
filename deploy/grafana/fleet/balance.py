"""Panels for the question "is the work shared evenly?"."""

from __future__ import annotations

from deploy.grafana.dashboard import Question
from deploy.grafana.fleet.expressions import FLEET, JOBS_WINDOW, POOL, increase
from deploy.grafana.panels import Bars, Lines, Query

BALANCE = Question(
    "Is the work shared evenly?",
    (
        Lines(
            "Utilisation of each replica",
            "`stillcue_running_jobs`: share of time in which the engine works. One line at 0: StillcueReplicaIdle in "
            "docs/operations.md. Lines that lie apart are normal at low load.",
            (
                Query(
                    f"max by (instance) (avg_over_time(stillcue_running_jobs{{{FLEET}}}[{JOBS_WINDOW}]))",
                    "{{instance}}",
                ),
            ),
            unit="percentunit",
            opens_server=True,
        ),
        Bars(
            "Jobs begun, 15 min",
            "`stillcue_job_queue_seconds`: jobs that each replica's engine took. Long bars beside short ones are "
            "replicas with short clips, or with a faster GPU.",
            (Query(increase("stillcue_job_queue_seconds_count", "instance"), "{{instance}}"),),
        ),
        Lines(
            "Jobs that wait while replicas are idle",
            "`pool:stillcue_idle_while_waiting:jobs`: jobs that could run at this moment and do not. Above 0 for "
            "minutes: StillcueIdleWhileWaiting in docs/operations.md.",
            (Query(f"pool:stillcue_idle_while_waiting:jobs{{{POOL}}}", "{{pool}}"),),
            thresholds=((1, "orange"),),
        ),
    ),
)
