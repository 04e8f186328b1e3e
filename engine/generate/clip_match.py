"""Scores the picture and the prompt of a clip before it is made."""

from __future__ import annotations

from dataclasses import dataclass

from engine.api.errors import MatchRefused
from engine.api.job import MatchMode, PreparedJob
from engine.api.match_report import MatchReport
from engine.api.media import Box
from engine.matching.enrichment import EnrichmentContext, enriched
from engine.matching.score import in_file
from engine.matching.scorer import Scorer
from engine.preparation.score_request import clip_settings_of
from engine.runtime.execution import Execution


@dataclass(frozen=True, slots=True)
class PairMatch:
    """The report on a clip's pair, and the subject's box in pixels of the clip; None if it was not found."""

    report: MatchReport
    subject: Box | None


def match_pair(job: PreparedJob, scorer: Scorer, context: EnrichmentContext, execution: Execution) -> PairMatch:
    """Scores a job's pair. Raises ``NonFiniteOutput`` and ``Cancelled``."""
    scored = scorer.score(execution, job.picture, job.prompt)
    clip = clip_settings_of(job.settings)
    report = enriched(in_file(scored, job), job.prompt, job.picture_report, clip, context)
    return PairMatch(report, scored.grounding.box if scored.grounding is not None else None)


def check_required(report: MatchReport, job: PreparedJob) -> None:
    """Raises ``MatchRefused`` if the job requires a higher score."""
    if job.match_mode is MatchMode.REQUIRE and report.score < job.minimum_score:
        raise MatchRefused(report, job.minimum_score)
