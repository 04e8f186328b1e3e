"""Reviews a finished clip: match scores of some frames, the diagnosis, and the probability that the clip is good."""

from __future__ import annotations

from dataclasses import dataclass

from engine.analysis.diagnosis.clip_factors import clip_factors
from engine.analysis.diagnosis.clip_watch import ClipWatch
from engine.analysis.diagnosis.judgement import DiagnosisInput, diagnose
from engine.analysis.diagnosis.likeness import SampledFeatures, likeness_of
from engine.api.diagnosis import Diagnosis, Likeness
from engine.api.events import FrameMatch
from engine.api.job import PreparedJob
from engine.api.match_report import MatchReport, SuccessEstimate
from engine.api.media import Box
from engine.bundle.scorer_spec import ScorerSpec
from engine.matching.scorer import Scorer
from engine.matching.success import clip_success
from engine.runtime.execution import Execution


@dataclass(frozen=True, slots=True)
class Review:
    """Match scores of the sampled frames, the diagnosis, and the probability of success, None without a fit."""

    frame_matches: tuple[FrameMatch, ...]
    diagnosis: Diagnosis
    success: SuccessEstimate | None


def review_clip(
    watch: ClipWatch,
    job: PreparedJob,
    scorer: Scorer | None,
    execution: Execution,
    *,
    report: MatchReport | None,
    subject: Box | None,
    first_frame_psnr_db: float,
    default_guidance_scale: float,
    spec: ScorerSpec | None,
) -> Review:
    """Reviews a clip. ``subject`` is in pixels of the frames; ``spec`` holds the bundle's fits and thresholds.

    Without a scorer, or if the pair was not scored, there are no frame scores, no features to compare, no success.
    """
    matches: tuple[FrameMatch, ...] = ()
    likeness: Likeness | None = None
    if scorer is not None and report is not None:
        frames = sorted(watch.samples.items())
        features = scorer.features(execution, [pixels for _, pixels in frames])  # cached for the scores below
        size = job.settings.width_px, job.settings.height_px
        likeness = likeness_of(SampledFeatures(features, *size), subject)
        matches = tuple(
            FrameMatch(index, scorer.score(execution, pixels, job.prompt).score) for index, pixels in frames
        )
    metrics = watch.metrics(likeness)
    frame_scores = tuple(item.score for item in matches)
    success: SuccessEstimate | None = None
    if spec is not None and spec.clip_success is not None and report is not None and report.success is not None:
        figures = clip_factors(metrics, frame_scores, first_frame_psnr_db)
        success = clip_success(report.success, figures, spec.clip_success)
    given = DiagnosisInput(
        report=report,
        guidance_scale=job.settings.guidance_scale,
        default_guidance_scale=default_guidance_scale,
        seconds=job.settings.frame_count / job.settings.frame_rate,
        first_frame_psnr_db=first_frame_psnr_db,
        frame_scores=frame_scores,
        chance_after_clip=success.probability if success is not None else None,
    )
    return Review(matches, diagnose(metrics, given, spec.diagnosis if spec is not None else None), success)
