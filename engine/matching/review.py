"""Reviews a finished clip: match scores of some frames, the diagnosis, and the probability that the clip is good."""

from __future__ import annotations

from dataclasses import dataclass

from engine.analysis.diagnosis.clip_factors import clip_factors
from engine.analysis.diagnosis.clip_watch import ClipWatch
from engine.analysis.diagnosis.judgement import DiagnosisInput, diagnose
from engine.analysis.diagnosis.likeness import SampledFeatures, SampleVectors, likeness_of, sample_vectors
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
    """Match scores of the sampled frames, the diagnosis, and the probability of success, None without a fit.

    ``vectors`` of the sampled frames are None without a scorer, or if the pair was not scored.
    """

    frame_matches: tuple[FrameMatch, ...]
    diagnosis: Diagnosis
    success: SuccessEstimate | None
    vectors: SampleVectors | None = None


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
    first_frame_index: int = 0,
) -> Review:
    """Reviews a clip. ``subject`` is in pixels of the frames; ``spec`` holds the bundle's fits and thresholds.

    Of a segment of a chain, prompt and settings of ``job`` are the segment's, ``watch`` saw the frames that it adds,
    and ``first_frame_index`` is the index of the first of them in the chain. A low chance of a later segment is
    no symptom: the fits saw only clips that begin from a picture.

    Without a scorer, or if the pair was not scored, there are no frame scores, no features to compare, no success.
    """
    matches: tuple[FrameMatch, ...] = ()
    likeness: Likeness | None = None
    vectors: SampleVectors | None = None
    if scorer is not None and report is not None:
        frames = [(first_frame_index + index, pixels) for index, pixels in sorted(watch.samples.items())]
        patches = scorer.features(execution, [pixels for _, pixels in frames])  # cached for the scores below
        features = SampledFeatures(patches, job.settings.width_px, job.settings.height_px)
        likeness = likeness_of(features, subject)
        vectors = sample_vectors(features, subject, [index for index, _ in frames])
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
        chance_after_clip=success.probability if success is not None and first_frame_index == 0 else None,
    )
    diagnosis = diagnose(metrics, given, spec.diagnosis if spec is not None else None)
    return Review(matches, diagnosis, success, vectors)
