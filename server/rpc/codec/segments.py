"""Segments of a chain: those that a request asks for, their settings, and their results on the wire."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.api.chain import SegmentSpec
from server.rpc.codec.durations import encode_duration
from server.rpc.codec.reports import encode_diagnosis, encode_match_report, encode_success
from stillcue.v1 import segments_pb2

if TYPE_CHECKING:
    from collections.abc import Iterable

    from engine.api.capabilities import Capabilities
    from engine.api.chain import ChainDrift, ChainStop, Seam
    from engine.api.events import SegmentDone
    from engine.api.job import PreparedJob


def decode_segments(segments: Iterable[segments_pb2.SegmentSpec]) -> tuple[SegmentSpec, ...]:
    """The segments that a request asks for."""
    return tuple(_decode_segment(segment) for segment in segments)


def encode_segment_settings(job: PreparedJob) -> list[segments_pb2.SegmentSettings]:
    """The settings of the segments of a chain; none for a clip of one segment."""
    return [
        segments_pb2.SegmentSettings(
            number=number,
            prompt=segment.prompt,
            first_frame_index=segment.first_frame_index,
            frame_count=segment.new_frame_count,
            compiled_frame_count=segment.settings.frame_count,
            seed=segment.settings.seed,
            guidance_scale=segment.settings.guidance_scale,
            guidance_scale_low_noise=segment.settings.guidance_scale_low_noise,
        )
        for number, segment in enumerate(job.segments, start=1)
    ]


def encode_segment(segment: SegmentDone) -> segments_pb2.SegmentResult:
    """A complete segment."""
    done = segment.done
    return segments_pb2.SegmentResult(
        number=segment.number,
        first_frame_index=segment.first_frame_index,
        frame_count=segment.frame_count,
        match_report=encode_match_report(done.match_report) if done.match_report is not None else None,
        diagnosis=encode_diagnosis(done.diagnosis) if done.diagnosis is not None else None,
        success=encode_success(done.success) if done.success is not None else None,
        work_duration=encode_duration(done.work_seconds),
        seam=_encode_seam(segment.seam) if segment.seam is not None else None,
    )


def encode_drift(drift: ChainDrift) -> segments_pb2.ChainDrift:
    """The drift of a chain."""
    return segments_pb2.ChainDrift(subject_consistency=drift.subject_consistency, loop_back=drift.loop_back)


def encode_stop(stop: ChainStop) -> segments_pb2.ChainStop:
    """The reason for which a chain ended before its last segment."""
    return segments_pb2.ChainStop(
        segment=stop.number, match_report=encode_match_report(stop.report), minimum_score=stop.minimum_score
    )


def encode_chain_support(capabilities: Capabilities) -> segments_pb2.ChainSupport:
    """The field of GetCapabilities on chains."""
    return segments_pb2.ChainSupport(
        max_segment_count=capabilities.limits.max_segment_count,
        given_frame_count=capabilities.given_frame_count,
        max_frame_count=capabilities.max_frame_count,
    )


def _decode_segment(segment: segments_pb2.SegmentSpec) -> SegmentSpec:
    values = {field.name: value for field, value in segment.ListFields()}
    return SegmentSpec(**{"prompt": "", **values})  # the names are the same on both sides


def _encode_seam(seam: Seam) -> segments_pb2.Seam:
    return segments_pb2.Seam(
        frame_index=seam.frame_index,
        motion_jump=seam.motion_jump,
        motion_jump_inside=seam.motion_jump_inside,
        colour_shift=seam.colour_shift,
        colour_shift_inside=seam.colour_shift_inside,
    )
