"""Requests for several attempts, and the exact streams that the fake engine gives for them."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

from google.protobuf.duration_pb2 import Duration

from stillcue.v1 import attempts_pb2, generate_pb2
from tests.fake_job import expected_stream, success
from tests.serving import generate_request

if TYPE_CHECKING:
    from collections.abc import Sequence

ALL, ACCEPTED = attempts_pb2.ATTEMPT_FRAMES_ALL, attempts_pb2.ATTEMPT_FRAMES_ACCEPTED
Response = generate_pb2.GenerateResponse


def attempts_request(
    seed: int, maximum_count: int, frames: attempts_pb2.AttemptFrames = ALL, accept: float | None = None, **fields: Any
) -> generate_pb2.GenerateRequest:
    """The fake engine's clips of seeds that end in 0 to 4 fail; see its docstring."""
    request = generate_request(
        attempts=attempts_pb2.Attempts(maximum_count=maximum_count, frames=frames, accept=accept), **fields
    )
    request.sampling.seed = seed
    return request


def result(number: int, seed: int, *, accepted: bool) -> attempts_pb2.AttemptResult:
    return attempts_pb2.AttemptResult(
        number=number, seed=seed, accepted=accepted, success=success(seed), work_duration=Duration(seconds=5)
    )


def expected_attempts(
    request: generate_pb2.GenerateRequest,
    accepted: Sequence[bool],
    delivered: int,
    end: attempts_pb2.AttemptsEnd,
) -> list[Response]:
    """Every message of a stream of raw frames, for seeds below 248; one truth of ``accepted`` for each attempt."""
    seed, is_held = request.sampling.seed, request.attempts.frames == ACCEPTED
    streams = [expected_stream(seed + number) for number in range(len(accepted))]
    clips = [stream[1:-1] for stream in streams]
    results = [result(number, seed + number - 1, accepted=item) for number, item in enumerate(accepted, 1)]
    head, tail = streams[0][0], streams[delivered - 1][-1]
    accept = request.attempts.accept if request.attempts.HasField("accept") else 0.5
    head.accepted.attempts.CopyFrom(
        attempts_pb2.Attempts(
            maximum_count=request.attempts.maximum_count, accept=accept, frames=request.attempts.frames
        )
    )
    tail.summary.delivered_attempt = delivered
    tail.summary.attempts_end = end
    tail.summary.attempts.extend(results)
    tail.summary.work_duration.CopyFrom(Duration(seconds=5 * len(accepted)))
    messages = [head]
    for number, (clip, outcome) in enumerate(zip(clips, results, strict=True), 1):
        shown = [message for message in clip if not (is_held and message.HasField("frame"))]
        messages += [_of(number, message) for message in shown]
        messages.append(Response(attempt=number, attempt_ended=outcome))
    if is_held:
        messages += [_of(delivered, message) for message in clips[delivered - 1] if message.HasField("frame")]
    return [*messages, tail]


def _of(attempt: int, message: Response) -> Response:
    message.attempt = attempt
    return message


def numbers_grow(messages: Sequence[Response]) -> bool:
    """True for consecutive numbers from 0."""
    return messages[0].sequence_number == 0 and all(
        later.sequence_number == earlier.sequence_number + 1 for earlier, later in pairwise(messages)
    )
