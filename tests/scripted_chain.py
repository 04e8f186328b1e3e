"""A chain as messages and as the client's types: 5 frames, and 4 more for each further segment.

The script makes as many segments as the request has, or as its length needs; two where the request leaves it open.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import stillcue
from stillcue.v1 import generate_pb2, segments_pb2
from tests.scripted_report import DIAGNOSIS, DIAGNOSIS_MESSAGE, REPORT, REPORT_MESSAGE
from tests.scripted_server import (
    FRAME_COUNT,
    FRAME_RATE,
    SETTINGS,
    Response,
    a_clip,
    accepted,
    frame,
    seconds,
    stage,
    summary,
    video_chunk,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

LOW_SCORE, MINIMUM_SCORE = 30.0, 40.0
_NEW_FRAME_COUNT = FRAME_COUNT - 1  # a segment repeats one frame of the one before
SEAM_MESSAGE = segments_pb2.Seam(
    frame_index=5, motion_jump=0.25, motion_jump_inside=0.125, colour_shift=0.0625, colour_shift_inside=0.03125
)
SEAM = stillcue.Seam(5, 0.25, 0.125, 0.0625, 0.03125)
DRIFT_MESSAGE = segments_pb2.ChainDrift(subject_consistency=0.75, loop_back=0.125)
DRIFT = stillcue.ChainDrift(0.75, 0.125)
# Settings and results of the first two segments.
SEGMENT_SETTINGS = (
    stillcue.SegmentSettings(1, "A boat leaves.", 0, 5, 5, 7, 3.5, 4.5),
    stillcue.SegmentSettings(2, "Gulls rise.", 5, 4, 5, 8, 3.5, 4.5),
)
RESULTS = (
    stillcue.SegmentResult(1, 0, 5, REPORT, DIAGNOSIS, REPORT.success, 1.5, None),
    stillcue.SegmentResult(2, 5, 4, REPORT, DIAGNOSIS, REPORT.success, 1.5, SEAM),
)


def chain_or_clip(request: generate_pb2.GenerateRequest, context: Any) -> Iterator[Response]:
    """A chain where the request asks for one, otherwise ``a_clip``."""
    is_chain = len(request.segments) > 1 or request.video.HasField("seconds")
    return (a_chain if is_chain else a_clip)(request, context)


def a_chain(request: generate_pb2.GenerateRequest, _context: Any) -> Iterator[Response]:
    """All segments of a chain."""
    settings = settings_message(request)
    yield _accepted(request, settings)
    results = []
    for item in settings.segments:
        yield from _opening(item, len(settings.segments), REPORT_MESSAGE.score)
        yield from _work(request, item)
        results.append(_result_message(item))
        yield part_of(item.number, Response(segment_ended=results[-1]))
    yield _summary(request, settings, results)


def a_chain_that_ends_early(request: generate_pb2.GenerateRequest, _context: Any) -> Iterator[Response]:
    """A chain whose last segment matches too little."""
    settings = settings_message(request)
    *made, last = settings.segments
    yield _accepted(request, settings)
    results = []
    for item in made:
        yield from _opening(item, len(settings.segments), REPORT_MESSAGE.score)
        yield from _work(request, item)
        results.append(_result_message(item))
        yield part_of(item.number, Response(segment_ended=results[-1]))
    yield from _opening(last, len(settings.segments), LOW_SCORE)
    end = _summary(request, settings, results)
    end.summary.chain_stop.segment = last.number
    end.summary.chain_stop.match_report.CopyFrom(REPORT_MESSAGE)
    end.summary.chain_stop.match_report.score = LOW_SCORE
    end.summary.chain_stop.minimum_score = MINIMUM_SCORE
    yield end


def settings_message(request: generate_pb2.GenerateRequest) -> generate_pb2.GenerateSettings:
    """The settings that the script answers a request with."""
    count = len(request.segments) or 2
    frame_count = FRAME_COUNT + (count - 1) * _NEW_FRAME_COUNT
    if request.video.HasField("seconds"):
        frame_count = 4 * round((request.video.seconds * FRAME_RATE - 1) / 4) + 1
        count = max(-(-(frame_count - 1) // _NEW_FRAME_COUNT), 1)
    settings = generate_pb2.GenerateSettings()
    settings.CopyFrom(SETTINGS)
    settings.frame_count = frame_count
    for index in range(count):
        settings.segments.add(
            number=index + 1,
            prompt=request.segments[index].prompt if index < len(request.segments) else request.prompt,
            first_frame_index=0 if index == 0 else FRAME_COUNT + (index - 1) * _NEW_FRAME_COUNT,
            frame_count=FRAME_COUNT if index == 0 else _NEW_FRAME_COUNT,
            compiled_frame_count=FRAME_COUNT,
            seed=SETTINGS.seed + index,
            guidance_scale=SETTINGS.guidance_scale,
            guidance_scale_low_noise=SETTINGS.guidance_scale_low_noise,
        )
    return settings


def part_of(segment: int, response: Response) -> Response:
    """The response as an event of a segment."""
    response.attempt, response.segment = 1, segment
    return response


def _accepted(request: generate_pb2.GenerateRequest, settings: generate_pb2.GenerateSettings) -> Response:
    response = accepted(request)
    response.accepted.settings.CopyFrom(settings)
    return response


def _opening(item: segments_pb2.SegmentSettings, count: int, score: float) -> Iterator[Response]:
    started = segments_pb2.SegmentStarted(number=item.number, segment_count=count)
    yield part_of(item.number, Response(segment_started=started))
    yield part_of(item.number, stage(generate_pb2.STAGE_MATCH))
    report = Response(match_report=REPORT_MESSAGE)
    report.match_report.score = score
    yield part_of(item.number, report)


def _work(request: generate_pb2.GenerateRequest, item: segments_pb2.SegmentSettings) -> Iterator[Response]:
    yield part_of(item.number, stage(generate_pb2.STAGE_DENOISE))
    for step in (1, 2):
        progress = generate_pb2.DenoiseProgress(
            completed_step_count=step,
            step_count=2,
            expert=generate_pb2.EXPERT_SINGLE,
            step_duration=seconds(0.5),
            work=generate_pb2.STEP_WORK_FULL,
        )
        yield part_of(item.number, Response(denoise_progress=progress))
    yield part_of(item.number, stage(generate_pb2.STAGE_DECODE))
    for index in range(item.first_frame_index, item.first_frame_index + item.frame_count):
        if not request.stream.omit_frames:
            response = frame(index % FRAME_COUNT)
            response.frame.index = index
            yield part_of(item.number, response)
        if request.stream.video_container and index % 4 == 0:
            yield part_of(item.number, video_chunk(index // 4))


def _result_message(item: segments_pb2.SegmentSettings) -> segments_pb2.SegmentResult:
    return segments_pb2.SegmentResult(
        number=item.number,
        first_frame_index=item.first_frame_index,
        frame_count=item.frame_count,
        match_report=REPORT_MESSAGE,
        diagnosis=DIAGNOSIS_MESSAGE,
        success=REPORT_MESSAGE.success,
        work_duration=seconds(1.5),
        seam=SEAM_MESSAGE if item.number > 1 else None,
    )


def _summary(
    request: generate_pb2.GenerateRequest,
    settings: generate_pb2.GenerateSettings,
    results: list[segments_pb2.SegmentResult],
) -> Response:
    response = summary(request)
    response.summary.settings.CopyFrom(settings)
    response.summary.segments.extend(results)
    response.summary.chain_drift.CopyFrom(DRIFT_MESSAGE)
    return response
