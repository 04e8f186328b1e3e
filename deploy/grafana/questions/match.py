"""Panels for the question "is the match score any good?"."""

from __future__ import annotations

from deploy.grafana.dashboard import Question
from deploy.grafana.expressions import increase, mean
from deploy.grafana.panels import Bars, Heat, Lines, Query

MATCH = Question(
    "Is the match score any good?",
    (
        Heat(
            "Scores",
            "`stillcue_match_score`: scores of Generate and ScoreMatch. One narrow band: the scorer does not "
            "distinguish matching pairs from others.",
            (Query(increase("stillcue_match_score_bucket", "le", window="$__rate_interval"), "{{le}}"),),
            has_exemplars=True,
        ),
        Bars(
            "Mean score by how the job ended",
            "`stillcue_job_match_score`: if cancelled clips have lower scores than completed ones, the score predicts "
            "success. Equal bars: it does not, so do not refuse jobs by it.",
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
