"""Converts protobuf messages about the segments of a chain. Pure functions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stillcue import segments
from stillcue.reports import decode_diagnosis, decode_match_report, decode_success
from stillcue.wire_durations import seconds_of

if TYPE_CHECKING:
    from stillcue.v1 import segments_pb2


def decode_segment_settings(message: segments_pb2.SegmentSettings) -> segments.SegmentSettings:
    """Returns the settings of a segment."""
    return segments.SegmentSettings(
        number=message.number,
        prompt=message.prompt,
        first_frame_index=message.first_frame_index,
        frame_count=message.frame_count,
        compiled_frame_count=message.compiled_frame_count,
        seed=message.seed,
        guidance_scale=message.guidance_scale,
        guidance_scale_low_noise=message.guidance_scale_low_noise
        if message.HasField("guidance_scale_low_noise")
        else None,
    )


def decode_segment_result(message: segments_pb2.SegmentResult, attempt: int = 0) -> segments.SegmentResult:
    """Returns the result of a segment, of an attempt where it is an event."""
    return segments.SegmentResult(
        number=message.number,
        first_frame_index=message.first_frame_index,
        frame_count=message.frame_count,
        match_report=decode_match_report(message.match_report) if message.HasField("match_report") else None,
        diagnosis=decode_diagnosis(message.diagnosis) if message.HasField("diagnosis") else None,
        success=decode_success(message.success) if message.HasField("success") else None,
        work_seconds=seconds_of(message.work_duration),
        seam=_seam(message.seam) if message.HasField("seam") else None,
        attempt=attempt,
    )


def decode_chain_drift(message: segments_pb2.ChainDrift) -> segments.ChainDrift:
    """Returns the drift of a chain."""
    return segments.ChainDrift(
        subject_consistency=message.subject_consistency if message.HasField("subject_consistency") else None,
        loop_back=message.loop_back if message.HasField("loop_back") else None,
    )


def decode_chain_stop(message: segments_pb2.ChainStop) -> segments.ChainStop:
    """Returns why a chain ended early."""
    return segments.ChainStop(message.segment, decode_match_report(message.match_report), message.minimum_score)


def _seam(message: segments_pb2.Seam) -> segments.Seam:
    return segments.Seam(
        frame_index=message.frame_index,
        motion_jump=message.motion_jump,
        motion_jump_inside=message.motion_jump_inside,
        colour_shift=message.colour_shift,
        colour_shift_inside=message.colour_shift_inside,
    )
