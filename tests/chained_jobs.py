"""Jobs of chains, made of jobs of one segment without the rules of a request."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from engine.analysis.diagnosis.clip_watch import ClipWatch
from engine.analysis.diagnosis.seams import segment_end
from engine.api.diagnosis import ClipMetrics, Diagnosis
from engine.api.events import JobDone, SegmentDone
from engine.api.job import PreparedJob, PreparedSegment
from engine.api.media import Pixels


def chain_of(
    job: PreparedJob,
    prompts: Sequence[str],
    given_frame_count: int,
    last_frame_count: int | None = None,
    begins_after: tuple[SegmentDone, ...] = (),
) -> PreparedJob:
    """A segment of the job's length for each prompt; ``last_frame_count`` new frames in the last, None: all."""
    frame_count = job.settings.frame_count
    segments: list[PreparedSegment] = []
    for index, prompt in enumerate(prompts):
        given = given_frame_count if index else 0
        first = segments[-1].first_frame_index + segments[-1].new_frame_count if segments else 0
        settings = replace(job.settings, seed=job.settings.seed + index)
        segments.append(PreparedSegment(prompt, settings, first, frame_count - given, given))
    if last_frame_count is not None:
        segments[-1] = replace(segments[-1], new_frame_count=last_frame_count)
    settings = replace(job.settings, frame_count=segments[-1].first_frame_index + segments[-1].new_frame_count)
    return replace(job, prompt=prompts[0], settings=settings, segments=tuple(segments), begins_after=begins_after)


def segment_of(frames: Sequence[Pixels], frame_rate: float) -> SegmentDone:
    """The first segment of a chain, as if it had ended with these frames."""
    watch = ClipWatch(len(frames), frame_rate)
    for pixels in frames:
        watch.add(pixels)
    done = JobDone({}, 0.0, 0.0, 0, 0.0, None, (), diagnosis=Diagnosis((), (), ClipMetrics(0.0, 0.0, 1.0, 0.0, 0.0)))
    return SegmentDone(1, 0, len(frames), done, end=segment_end(watch, frames, None))
