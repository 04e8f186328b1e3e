"""Reviews a finished clip: match scores of some frames, and the diagnosis."""

from __future__ import annotations

from engine.analysis.diagnosis.clip_watch import ClipWatch
from engine.analysis.diagnosis.judgement import DiagnosisInput, diagnose
from engine.analysis.diagnosis.likeness import SampledFeatures, likeness_of
from engine.api.diagnosis import Diagnosis, Likeness
from engine.api.events import FrameMatch
from engine.api.job import PreparedJob
from engine.api.match_report import MatchReport
from engine.api.media import Box
from engine.matching.scorer import Scorer
from engine.runtime.execution import Execution


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
) -> tuple[tuple[FrameMatch, ...], Diagnosis]:
    """Match scores of the sampled frames, and the diagnosis. ``subject`` is in pixels of the frames.

    Without a scorer, or if the pair was not scored, there are no frame scores and no features to compare.
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
    return matches, diagnose(watch.metrics(likeness), given)
