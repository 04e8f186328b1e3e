"""Is the match score any good? The panels that answer."""

from __future__ import annotations

from deploy.grafana.dashboard import Question
from deploy.grafana.expressions import increase, mean
from deploy.grafana.panels import Bars, Heat, Lines, Query

MATCH = Question(
    "Is the match score any good?",
    (
        Heat(
            "Scores",
            "`stillcue_match_score`: of Generate and ScoreMatch. One narrow band for all pairs: the scorer does not "
            "tell them apart.",
            (Query(increase("stillcue_match_score_bucket", "le", window="$__rate_interval"), "{{le}}"),),
            has_exemplars=True,
        ),
        Bars(
            "Mean score by how the job ended",
            "`stillcue_job_match_score`: where callers cancel clips of low scores more often, the score tells "
            "something. Equal bars: it does not, do not refuse by it.",
            (Query(mean("stillcue_job_match_score", "outcome"), "{{outcome}}"),),
        ),
        Lines(
            "Jobs refused for their score",
            "`stillcue_jobs_total`: `match_refused`, as `match.minimum_score` asks. Many: callers set it too high, "
            "or their prompts need the advice of docs/client.md.",
            (Query(increase("stillcue_jobs_total", "outcome", 'outcome="match_refused"'), "{{outcome}}"),),
        ),
    ),
)
