"""A clip of two attempts, as messages and as the client's types: the first fails, the second is accepted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import stillcue
from stillcue.v1 import attempts_pb2, generate_pb2, match_pb2
from tests.scripted_report import REPORT_MESSAGE
from tests.scripted_server import Response, accepted, frame, seconds, stage, summary, video_chunk

if TYPE_CHECKING:
    from collections.abc import Iterator

_FACTOR = match_pb2.SuccessFactor(name="subject_drift", value=0.5, log_odds=-2.0)
RESULT_MESSAGES = [
    attempts_pb2.AttemptResult(
        number=1,
        seed=7,
        success=match_pb2.SuccessEstimate(probability=0.25, basis=match_pb2.SUCCESS_BASIS_MEASURED, factors=[_FACTOR]),
        work_duration=seconds(3.0),
    ),
    attempts_pb2.AttemptResult(
        number=2,
        seed=8,
        accepted=True,
        success=match_pb2.SuccessEstimate(probability=0.875, basis=match_pb2.SUCCESS_BASIS_MEASURED),
        work_duration=seconds(2.5),
    ),
]
RESULTS = (
    stillcue.AttemptResult(
        1,
        7,
        False,
        stillcue.SuccessEstimate(
            0.25, stillcue.SuccessBasis.MEASURED, None, None, (stillcue.SuccessFactor("subject_drift", 0.5, -2.0),)
        ),
        3.0,
    ),
    stillcue.AttemptResult(
        2, 8, True, stillcue.SuccessEstimate(0.875, stillcue.SuccessBasis.MEASURED, None, None), 2.5
    ),
)


def two_attempts(request: generate_pb2.GenerateRequest, _context: Any) -> Iterator[Response]:
    """Sends what the request asks for: the frames of both attempts, or those of the second after its end."""
    frames = request.attempts.frames
    first = accepted(request)
    first.accepted.attempts.CopyFrom(request.attempts)
    yield first
    for result in RESULT_MESSAGES:
        yield _of(result.number, Response(match_report=REPORT_MESSAGE))
        yield _of(result.number, stage(generate_pb2.STAGE_DENOISE))
        yield _of(result.number, stage(generate_pb2.STAGE_DECODE))
        if frames != attempts_pb2.ATTEMPT_FRAMES_ACCEPTED:
            yield from _parts(request, result.number)
        yield _of(result.number, Response(attempt_ended=result))
    if frames == attempts_pb2.ATTEMPT_FRAMES_ACCEPTED:
        yield from _parts(request, 2)
    last = summary(request)
    last.summary.settings.seed = 8
    last.summary.success.CopyFrom(RESULT_MESSAGES[1].success)
    last.summary.attempts.extend(RESULT_MESSAGES)
    last.summary.delivered_attempt = 2
    last.summary.attempts_end = attempts_pb2.ATTEMPTS_END_ACCEPTED
    yield last


def _parts(request: generate_pb2.GenerateRequest, attempt: int) -> Iterator[Response]:
    """One frame of a colour of the attempt's own, and its chunk of a video file."""
    if not request.stream.omit_frames:
        part = frame(attempt)
        part.frame.index = 0
        yield _of(attempt, part)
    if request.stream.video_container:
        part = video_chunk(0)
        part.video_chunk.data = f"attempt {attempt};".encode()
        yield _of(attempt, part)


def _of(attempt: int, response: Response) -> Response:
    response.attempt = attempt
    return response
