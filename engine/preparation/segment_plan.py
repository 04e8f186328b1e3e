"""The segments of a clip: their sentences, seeds and lengths, as the caller sent them or divided by stages."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from PIL import Image as Pillow

from engine.analysis.prompt.stages.division import divide_sentence
from engine.api.capabilities import Capabilities, Geometry
from engine.api.chain import SegmentSpec
from engine.api.errors import InvalidJob
from engine.api.job import Job, PreparedSegment, SamplingSpec, Settings
from engine.api.media import Box
from engine.preparation.chain_lengths import chain_frame_count
from engine.preparation.clip_length import asked_frame_count
from engine.preparation.geometry import resolve_geometry, resolve_segment_size, segment_lengths
from engine.preparation.segment_rules import check_last_seed, compiled_frame_counts
from engine.preparation.segment_warnings import division_warnings, exit_warnings, segment_warnings

_SHORT_SHARE = 0.25  # of a segment's new frames; a last segment with fewer is hardly worth its work


@dataclass(frozen=True, slots=True)
class PlannedSegment:
    """A segment, or the whole clip if it has one. ``frame_count`` is a compiled length."""

    prompt: str
    sampling: SamplingSpec
    seed: int
    frame_count: int


@dataclass(frozen=True, slots=True)
class SegmentPlan:
    """The segments of a clip. ``geometry`` has the length of the whole clip."""

    prompt: str
    segments: tuple[PlannedSegment, ...]
    geometry: Geometry
    warnings: tuple[str, ...] = ()


def plan_segments(job: Job, picture: Pillow.Image, capabilities: Capabilities) -> SegmentPlan:
    """Chooses size and lengths, and gives each segment its sentence and seed.

    Raises ``NotCompiled``, and ``InvalidJob`` if a seed of the segments that a sentence was divided into is too large.
    """
    seed = secrets.randbits(32) if job.sampling.seed is None else job.sampling.seed
    if job.segments:
        return _plan_given(job, seed, picture, capabilities)
    geometry = resolve_geometry(job.video, picture, capabilities)
    frame_counts = segment_lengths(geometry, capabilities)
    if violations := tuple(check_last_seed(job.sampling.seed, [True] * len(frame_counts))):
        raise InvalidJob(*violations)
    prompts: tuple[str, ...] = (job.prompt,)
    warnings: tuple[str, ...] = ()
    if len(frame_counts) > 1:
        given, total = capabilities.given_frame_count, geometry.frame_count
        divided = divide_sentence(job.prompt, new_frame_counts(frame_counts, given, total))
        prompts = divided.prompts
        warnings = (
            *_short_segment(frame_counts, given, total),
            *division_warnings(divided),
            *exit_warnings(prompts),
        )
    segments = tuple(
        PlannedSegment(prompt, job.sampling, seed + index, frame_count)
        for index, (prompt, frame_count) in enumerate(zip(prompts, frame_counts, strict=True))
    )
    return SegmentPlan(job.prompt, segments, geometry, warnings)


def new_frame_counts(frame_counts: Sequence[int], given: int, total: int) -> tuple[int, ...]:
    """Number of frames that each segment adds to a clip of ``total`` frames."""
    added = [count if index == 0 else count - given for index, count in enumerate(frame_counts)]
    return (*added[:-1], total - sum(added[:-1]))


def prepared_segments(plan: SegmentPlan, settings: Sequence[Settings], given: int) -> tuple[PreparedSegment, ...]:
    """The segments of a chain. From the second one on, a segment begins from the whole of a frame of the clip."""
    added = new_frame_counts([item.frame_count for item in plan.segments], given, plan.geometry.frame_count)
    whole = Box(0, 0, plan.geometry.width_px, plan.geometry.height_px)
    return tuple(
        PreparedSegment(
            prompt=segment.prompt,
            settings=replace(own, crop=whole) if index else own,
            first_frame_index=sum(added[:index]),
            new_frame_count=added[index],
            given_frame_count=given if index else 0,
        )
        for index, (segment, own) in enumerate(zip(plan.segments, settings, strict=True))
    )


def _plan_given(job: Job, seed: int, picture: Pillow.Image, capabilities: Capabilities) -> SegmentPlan:
    frame_counts = compiled_frame_counts(job, capabilities)
    geometry = resolve_segment_size(job.video, frame_counts, picture, capabilities)
    total = asked_frame_count(job.video, capabilities)
    total = total or chain_frame_count(frame_counts, capabilities.given_frame_count)
    segments = tuple(
        PlannedSegment(
            segment.prompt,
            _sampling_of(segment, job.sampling),
            seed + index if segment.seed is None else segment.seed,
            frame_count,
        )
        for index, (segment, frame_count) in enumerate(zip(job.segments, frame_counts, strict=True))
    )
    warnings: tuple[str, ...] = ()
    if len(segments) > 1:
        warnings = (*segment_warnings(job), *exit_warnings([segment.prompt for segment in segments]))
    return SegmentPlan(segments[0].prompt, segments, replace(geometry, frame_count=total), warnings)


def _sampling_of(segment: SegmentSpec, sampling: SamplingSpec) -> SamplingSpec:
    """The job's sampling with a segment's guidance; one scale alone means both experts."""
    scale, low_noise = segment.guidance_scale, segment.guidance_scale_low_noise
    if low_noise is None:
        low_noise = sampling.guidance_scale_low_noise if scale is None else scale
    scale = sampling.guidance_scale if scale is None else scale
    return replace(sampling, guidance_scale=scale, guidance_scale_low_noise=low_noise)


def _short_segment(frame_counts: Sequence[int], given: int, total: int) -> Iterator[str]:
    """A warning of a last segment that adds few frames."""
    shorter = chain_frame_count(frame_counts[:-1], given)
    possible, added = frame_counts[-1] - given, total - shorter
    if added <= _SHORT_SHARE * possible:
        count = len(frame_counts)
        yield (
            f"{total} frames take {count} segments, and the last adds only {added} of its {possible} frames; "
            f"{shorter} frames take {count - 1}"
        )
