"""The summary of a chain, put together of those of its segments."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from engine.api.chain import ChainStop
from engine.api.events import Chain, JobDone, SegmentDone, Stage
from engine.api.job import PreparedJob
from engine.api.reuse import StepWork
from engine.bundle.scorer_spec import ScorerSpec
from engine.matching.chain_review import review_chain


def chain_done(
    job: PreparedJob, segments: Sequence[SegmentDone], stop: ChainStop | None, spec: ScorerSpec | None
) -> JobDone:
    """The summary of a chain of these segments, at least one. ``spec`` holds the bundle's thresholds.

    Seconds and steps are sums, the peak is the highest, and success is the lowest of the segments'. Match report and
    first frame are those of the first segment.
    """
    parts = [segment.done for segment in segments]
    first = parts[0]
    stage_seconds, step_counts = Counter[Stage](), Counter[StepWork]()
    for part in parts:
        stage_seconds.update(part.stage_seconds)
        step_counts.update(part.step_counts)
    prompts = [segment.prompt for segment in job.segments[: len(segments)]]
    review = review_chain(segments, prompts, spec.diagnosis if spec is not None else None)
    successes = [part.success for part in parts if part.success is not None]
    return JobDone(
        stage_seconds=dict(stage_seconds),
        work_seconds=sum(part.work_seconds for part in parts),
        first_frame_seconds=first.first_frame_seconds,
        peak_memory_bytes=max(part.peak_memory_bytes for part in parts),
        first_frame_psnr_db=first.first_frame_psnr_db,
        match_report=first.match_report,
        warnings=job.warnings,
        frame_matches=tuple(match for part in parts for match in part.frame_matches),
        diagnosis=review.diagnosis,
        success=min(successes, key=lambda success: success.probability, default=None),
        step_counts=dict(step_counts),
        chain=Chain(tuple(segments), review.drift, stop),
    )
