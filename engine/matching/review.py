"""Reviews a finished clip: match scores of some frames, the diagnosis, and the probability that the clip is good."""

from __future__ import annotations

from dataclasses import dataclass

from engine.analysis.diagnosis.clip_watch import ClipWatch
from engine.analysis.diagnosis.judgement import DiagnosisInput, diagnose
from engine.analysis.diagnosis.likeness import SampledFeatures, likeness_of
from engine.api.diagnosis import Diagnosis, Likeness
from engine.api.events import FrameMatch
from engine.api.job import PreparedJob
from engine.api.match_report import MatchReport, SuccessEstimate
from engine.api.media import Box
from engine.bundle.scorer_spec import ClipSuccessSpec
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
    fitted: ClipSuccessSpec | None,
) -> Review:
    """Reviews a clip. ``subject`` is in pixels of the frames; ``fitted`` is the bundle's fit of a clip's success.

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
    given = DiagnosisInput(
        report=report,
        guidance_scale=job.settings.guidance_scale,
        default_guidance_scale=default_guidance_scale,
        seconds=job.settings.frame_count / job.settings.frame_rate,
        first_frame_psnr_db=first_frame_psnr_db,
        frame_scores=tuple(item.score for item in matches),
    )
    metrics = watch.metrics(likeness)
    success: SuccessEstimate | None = None
    if fitted is not None and report is not None and report.success is not None:
        success = clip_success(report.success, metrics, given.frame_scores, first_frame_psnr_db, fitted)
    return Review(matches, diagnose(metrics, given), success)
