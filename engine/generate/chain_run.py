"""The segments of a chain, one after the other, and the events around them.

Of a finished segment nothing is kept but its ``SegmentDone``, and its last frames until the next segment is made.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator

from engine.analysis.diagnosis.seams import seam_of, segment_end
from engine.api.chain import ChainStop, SegmentEnd, SegmentStarted
from engine.api.errors import MatchRefused
from engine.api.events import Event, SegmentDone
from engine.api.job import PreparedJob, PreparedSegment, Settings
from engine.generate.chain_summary import chain_done
from engine.generate.clip_request import clip_of_segment
from engine.generate.clip_run import ClipRun
from engine.generate.model_parts import ModelParts
from engine.generate.text_conditioning import JobTexts
from engine.runtime.base import Array
from engine.runtime.execution import Execution

MakeNoise = Callable[[Settings], Array]
"""The initial noise of a clip, float32 [1, z, T, h, w]."""


class ChainRun:
    """One chain on the graphs of a bundle."""

    def __init__(self, model: ModelParts, job: PreparedJob, noise_of: MakeNoise, execution: Execution) -> None:
        self._model, self._job, self._noise_of, self._execution = model, job, noise_of, execution

    def make(self) -> Iterator[Event]:
        """Makes the segments that follow ``job.begins_after``. See ``Engine.generate`` for events and errors.

        A later segment that matches less than the job requires ends the chain; the first one raises ``MatchRefused``.
        """
        job, before = self._job, self._job.begins_after
        done = [segment.without_frames() for segment in before]
        end_before = before[-1].end if before else None
        stop: ChainStop | None = None
        remaining = job.segments[len(before) :]
        texts = JobTexts(self._model.prompts, [(segment.prompt, segment.settings) for segment in remaining])
        for number, segment in enumerate(remaining, start=len(before) + 1):
            yield SegmentStarted(number, len(job.segments))
            try:
                made = yield from self._make_segment(number, segment, end_before, texts)
            except MatchRefused as refused:
                if number == 1:
                    raise
                stop = ChainStop(number, refused.report, refused.minimum_score)
                break
            yield made
            end_before = made.end
            done.append(made.without_frames())
        yield chain_done(job, done, stop, self._model.manifest.scorer)

    def _make_segment(
        self, number: int, segment: PreparedSegment, end_before: SegmentEnd | None, texts: JobTexts
    ) -> Generator[Event, None, SegmentDone]:
        given_frames = () if end_before is None else end_before.frames
        if len(given_frames) != segment.given_frame_count:
            raise ValueError(
                f"segment {number} needs the last {segment.given_frame_count} frames before it, not {len(given_frames)}"
            )
        clip = clip_of_segment(self._job, segment, given_frames)
        noise = self._noise_of(segment.settings)
        made = yield from ClipRun(self._model, clip, self._execution).make(texts, noise)
        is_last = number == len(self._job.segments)
        return SegmentDone(
            number=number,
            first_frame_index=segment.first_frame_index,
            frame_count=segment.new_frame_count,
            done=made.done,
            seam=None if end_before is None else seam_of(end_before, made.watch, segment.first_frame_index),
            end=segment_end(made.watch, () if is_last else made.last_frames, made.vectors),
        )
