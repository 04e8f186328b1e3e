"""Figures of a clip from the summary of the engine or of the client, whose fields have equal names."""

from __future__ import annotations

import stillcue
from engine.analysis.diagnosis.clip_factors import clip_factors
from engine.api.diagnosis import ClipMetrics
from engine.api.events import JobDone
from engine.api.job import Settings
from evaluation.record import ClipFigures, ClipSettings


def figures_of(
    done: JobDone | stillcue.Summary, settings: Settings | stillcue.Settings, metrics: ClipMetrics, seconds: float
) -> ClipFigures:
    """The figures of a job whose pair was scored; ``metrics`` are those of its clip."""
    report, diagnosis = done.match_report, done.diagnosis
    assert report is not None
    assert report.success is not None
    assert diagnosis is not None
    scores = [item.score for item in done.frame_matches]
    return ClipFigures(
        settings=ClipSettings(**{name: getattr(settings, name) for name in ClipSettings.model_fields}),
        score=report.score,
        verdict=report.verdict.value,
        chance=report.success.probability,
        chance_basis=report.success.basis.value,
        pair_factors={item.name: item.value for item in report.success.factors},
        clip_factors=clip_factors(metrics, scores, done.first_frame_psnr_db),
        clip_chance=None if done.success is None else done.success.probability,
        symptoms=tuple(item.kind.value for item in diagnosis.symptoms),
        remedies=tuple(item.kind.value for item in diagnosis.remedies),
        seconds=seconds,
    )
