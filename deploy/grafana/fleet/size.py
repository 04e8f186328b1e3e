"""Panels for the question "is the fleet large enough?"."""

from __future__ import annotations

from deploy.grafana.dashboard import Question
from deploy.grafana.fleet.expressions import FLEET, JOBS_WINDOW, POOL, total
from deploy.grafana.panels import Lines, Number, Query

SIZE = Question(
    "Is the fleet large enough?",
    (
        Number(
            "Replicas that serve",
            "`stillcue_serving`: by pool. Fewer than you run: the states on the right show where they are.",
            (Query(total("stillcue_serving"), "{{pool}}"),),
            height=8,
        ),
        Number(
            "Saturation, 15 min",
            "`pool:stillcue_saturation:ratio`: running jobs per serving replica of whole pools. Above 80 % waits grow "
            "fast, at 100 % every job waits: StillcueFleetSaturated in docs/operations.md, sizes in docs/capacity.md.",
            (Query(f"avg_over_time(pool:stillcue_saturation:ratio{{{POOL}}}[{JOBS_WINDOW}])", "{{pool}}"),),
            unit="percentunit",
            thresholds=((0.8, "orange"), (0.95, "red")),
            height=8,
        ),
        Lines(
            "Running jobs and replicas that serve",
            "`stillcue_running_jobs`, `stillcue_serving`: the distance of the two lines of a pool is free capacity.",
            (
                Query(total("stillcue_running_jobs"), "{{pool}} running"),
                Query(total("stillcue_serving"), "{{pool}} serving"),
            ),
        ),
        Lines(
            "Replicas by state",
            "`stillcue_serving`, `stillcue_draining`, `up`: starting replicas open a bundle or restart their engine; "
            "those that give no answer are down or cut off: StillcueTargetDown in docs/operations.md.",
            (
                Query(f"sum(stillcue_serving{{{FLEET}}})", "serving"),
                Query(
                    f"count(stillcue_serving{{{FLEET}}} + stillcue_draining{{{FLEET}}} == 0) or vector(0)",
                    "starting",
                ),
                Query(f"sum(stillcue_draining{{{FLEET}}})", "draining"),
                Query(f'count(up{{job="stillcue", {FLEET}}} == 0) or vector(0)', "no answer"),
            ),
            is_stacked=True,
        ),
    ),
)
