"""The rules of a job's segments: of each one's fields, and of the length that they fill together."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from engine.api.capabilities import Capabilities
from engine.api.chain import SegmentSpec
from engine.api.errors import Violation
from engine.api.fields import Field
from engine.api.job import MAX_SEED, Job
from engine.preparation.chain_lengths import chain_frame_count, nearest_frame_count
from engine.preparation.clip_length import asked_frame_count, length_field
from engine.preparation.rules import check_guidance, check_low_noise_guidance, check_prompt, check_range, check_video


def check_segments(job: Job, capabilities: Capabilities) -> Iterator[Violation]:
    """Checks every field of the segments, and that they fill the length of the clip. Ignores what is compiled."""
    limit = capabilities.limits.max_segment_count
    if len(job.segments) > limit:
        yield Violation(Field.SEGMENTS, f"are {len(job.segments)}, more than the limit of {limit}; send fewer")
        return
    wrong_lengths = list(_check_frame_counts(job.segments, capabilities))
    yield from wrong_lengths
    for index, segment in enumerate(job.segments):
        yield from _check_fields(segment, index, capabilities)
    yield from check_last_seed(job.sampling.seed, [item.seed is None for item in job.segments])
    if not wrong_lengths and not any(check_video(job.video, capabilities)):
        yield from _check_total(job, capabilities)


def compiled_frame_counts(job: Job, capabilities: Capabilities) -> tuple[int, ...]:
    """The length of each segment; a single segment without one has that of the clip if it is compiled."""
    default = capabilities.geometries[0].frame_count
    asked = asked_frame_count(job.video, capabilities) if len(job.segments) == 1 else 0
    if any(item.frame_count == asked for item in capabilities.geometries):
        default = asked
    return tuple(item.frame_count or default for item in job.segments)


def check_last_seed(seed: int | None, counted: Sequence[bool]) -> Iterator[Violation]:
    """No seed that is counted on from the job's is above the largest. ``counted``: which segments have such a seed."""
    added = max((index for index, is_counted in enumerate(counted) if is_counted), default=0)
    if seed is not None and 0 <= seed <= MAX_SEED < seed + added:
        yield Violation(
            Field.SEED, f"is {seed}; segment {added + 1} would have {added} more, above {MAX_SEED}; send a smaller seed"
        )


def _check_fields(segment: SegmentSpec, index: int, capabilities: Capabilities) -> Iterator[Violation]:
    found = [
        *check_prompt(segment.prompt, capabilities, Field.SEGMENT_PROMPT),
        *check_guidance(Field.SEGMENT_GUIDANCE_SCALE, segment.guidance_scale),
        *check_low_noise_guidance(
            Field.SEGMENT_GUIDANCE_SCALE_LOW_NOISE, segment.guidance_scale_low_noise, capabilities
        ),
    ]
    if segment.seed is not None:
        found += check_range(Field.SEGMENT_SEED, segment.seed, 0, MAX_SEED)
    yield from (Violation(item.field, item.description, index) for item in found)


def _check_frame_counts(segments: Sequence[SegmentSpec], capabilities: Capabilities) -> Iterator[Violation]:
    """The length of each segment is 4n + 1 and holds more than the frames that it repeats."""
    given = capabilities.given_frame_count
    for index, segment in enumerate(segments):
        asked = segment.frame_count
        frame_count = asked or capabilities.geometries[0].frame_count
        shown = f"is {asked}" if asked else f"is 0, the default of {frame_count}"
        if asked < 0 or (asked and asked % 4 != 1):
            nearest = nearest_frame_count(min(max(asked, 1), 2**31))
            description = f"is {asked}, not 4n + 1; the nearest is {nearest}"
        elif index and frame_count <= given:
            repeated = "frame before it and needs more than this one"
            if given > 1:
                repeated = f"{given} frames before it and needs more than these"
            description = f"{shown}; a segment repeats the last {repeated}"
        elif index == 0 and len(segments) > 1 and frame_count < given:
            description = f"{shown}; the next segment repeats {given} frames, so send at least that many"
        else:
            continue
        yield Violation(Field.SEGMENT_FRAME_COUNT, description, index)


def _check_total(job: Job, capabilities: Capabilities) -> Iterator[Violation]:
    """The clip ends inside the last segment."""
    asked = asked_frame_count(job.video, capabilities)
    lengths, given = compiled_frame_counts(job, capabilities), capabilities.given_frame_count
    if not asked or not lengths:
        return
    count = len(lengths)
    shown = (
        f"is {asked}"
        if job.video.seconds is None
        else f"is {job.video.seconds:g}, that is {asked} frame{'s' if asked > 1 else ''}"
    )
    segments = "the segment has" if count == 1 else f"the {count} segments have"
    filled, before_last = chain_frame_count(lengths, given), chain_frame_count(lengths[:-1], given)
    if asked > filled:
        added = max(capabilities.geometries[0].frame_count - given, 1)
        missing = math.ceil((asked - filled) / added)
        remedy = "ask for fewer frames"
        if count + missing <= capabilities.limits.max_segment_count:
            more = f"{missing} more segment{'s' if missing > 1 else ''} of the default length"
            remedy = f"send {more}, or {remedy}"
        yield Violation(length_field(job.video), f"{shown}; {segments} {filled}: {remedy}")
    elif count == 1 and asked < filled:
        yield Violation(length_field(job.video), f"{shown}; {segments} {filled}: leave this length out")
    elif count > 1 and asked <= before_last:
        least = nearest_frame_count(before_last + 4)
        enough = f"{least} to {filled}" if least < filled else f"{filled}"
        description = (
            f"{shown}, so that the last of the {count} segments would add no frame: leave that segment out, or ask for "
            f"{enough} frames"
        )
        yield Violation(length_field(job.video), description)
