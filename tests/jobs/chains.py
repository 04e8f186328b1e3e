"""A prepared chain by hand: 9 frames, then 4 new ones for each further sentence, 5 of them given."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from engine.api.chain import ChainDrift, SegmentEnd
from engine.api.events import Chain, SegmentDone
from engine.api.job import PreparedJob, PreparedSegment
from tests.jobs.scripted import DONE, prepared

if TYPE_CHECKING:
    from engine.api.chain import ChainStop
    from engine.api.events import JobDone

SENTENCES = ("a fox runs", "a fox jumps high", "a fox sits")


def prepared_chain(*sentences: str, **settings: Any) -> PreparedJob:
    """A chain of these sentences; further settings are those of each segment. Seeds are 7, 8, 9."""
    job = prepared(**settings)
    segments = []
    for index, sentence in enumerate(sentences or SENTENCES):
        of_segment = replace(job.settings, seed=job.settings.seed + index)
        if index == 0:
            segments.append(PreparedSegment(sentence, of_segment, 0, 9))
        else:
            segments.append(PreparedSegment(sentence, of_segment, 5 + 4 * index, 4, given_frame_count=5))
    frame_count = 5 + 4 * len(segments)
    whole = replace(job.settings, frame_count=frame_count)
    return replace(job, prompt="", settings=whole, segments=tuple(segments))


def segment_done(number: int, *, has_end: bool = True) -> SegmentDone:
    """The end of a segment without figures; its last frames are five pictures of 2x2."""
    end = (
        SegmentEnd((np.full((2, 2, 3), number, np.uint8),) * 5, subject=np.array([[1.0, 0.0]], np.float32))
        if has_end
        else None
    )
    first = 0 if number == 1 else 1 + 4 * number
    return SegmentDone(number, first, 9 if number == 1 else 4, DONE, end=end)


def chain_done(*segments: SegmentDone, stop: ChainStop | None = None) -> JobDone:
    """The summary of a chain without figures."""
    return replace(DONE, chain=Chain(segments, ChainDrift(None, None), stop))
