"""The summary of a chain, put together of those of its segments."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from engine.api.chain import ChainDrift, ChainStop
from engine.api.events import Chain, JobDone, SegmentDone, Stage
from engine.api.job import PreparedJob
from engine.api.reuse import StepWork


def numbered_through(done: JobDone, first_frame_index: int) -> JobDone:
    """The summary of a segment with the frames of its scores counted from the beginning of the chain."""
    matches = tuple(replace(item, frame_index=first_frame_index + item.frame_index) for item in done.frame_matches)
    return replace(done, frame_matches=matches)


def chain_done(job: PreparedJob, segments: Sequence[SegmentDone], stop: ChainStop | None) -> JobDone:
    """The summary of a chain of these segments, at least one.

    Seconds and steps are sums, the peak is the highest, and success is the lowest of the segments'. Match report and
    first frame are those of the first segment.
    """
    parts = [segment.done for segment in segments]
    first = parts[0]
    stage_seconds, step_counts = Counter[Stage](), Counter[StepWork]()
    for part in parts:
        stage_seconds.update(part.stage_seconds)
        step_counts.update(part.step_counts)
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
        diagnosis=first.diagnosis,
        success=min(successes, key=lambda success: success.probability, default=None),
        step_counts=dict(step_counts),
        chain=Chain(tuple(segments), ChainDrift(None, None), stop),
    )
