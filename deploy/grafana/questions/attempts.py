"""Panels for the question "do clips come out well, and what do further attempts cost?"."""

from __future__ import annotations

from deploy.grafana.dashboard import Question
from deploy.grafana.expressions import increase
from deploy.grafana.panels import Heat, Lines, Query

ATTEMPTS = Question(
    "Do clips come out well, and what do further attempts cost?",
    (
        Heat(
            "Judged success of clips",
            "`stillcue_clip_success`: the probability that a clip came out well, of every attempt. Empty: the bundle "
            "has no fit for it (docs/attempts.md). Many low ones: look at pictures, sentences and guidance first.",
            (Query(increase("stillcue_clip_success_bucket", "le", window="$__rate_interval"), "{{le}}"),),
            has_exemplars=True,
        ),
        Lines(
            "Attempts, accepted and rejected",
            "`stillcue_attempts_total`, of jobs that may make their clip again: each rejected attempt costs as much as "
            "a job. Mostly rejected: callers ask for more than the model gives; see docs/attempts.md.",
            (Query(increase("stillcue_attempts_total", "outcome"), "{{outcome}}"),),
            is_stacked=True,
        ),
        Lines(
            "Why no further attempt was made",
            "`stillcue_attempts_stopped_total`: `accepted` is the aim. `deadline` and `quota`: callers leave too "
            "little time, or have too few requests per minute, for the attempts that they ask for.",
            (Query(increase("stillcue_attempts_stopped_total", "reason"), "{{reason}}"),),
            is_stacked=True,
        ),
    ),
)
