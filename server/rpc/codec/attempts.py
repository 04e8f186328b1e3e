"""Attempts of a request and their results on the wire."""

from __future__ import annotations

from typing import TYPE_CHECKING

from server.errors.refusals import FieldViolation
from server.jobs.attempt_plan import MAX_ATTEMPT_COUNT, AttemptWish
from server.rpc.codec.durations import encode_duration
from server.rpc.codec.enums import ATTEMPT_FRAMES, WIRE_ATTEMPT_FRAMES, decode_enum
from server.rpc.codec.reports import encode_success
from stillcue.v1 import attempts_pb2

if TYPE_CHECKING:
    from server.jobs.attempt_plan import AttemptPlan
    from server.jobs.attempts import AttemptResult


def decode_attempts(attempts: attempts_pb2.Attempts, violations: list[FieldViolation]) -> AttemptWish | None:
    """The attempts that a request asks for; None: one alone, or its fields are wrong."""
    frames = decode_enum(ATTEMPT_FRAMES, attempts.frames, "attempts.frames", violations)
    count = attempts.maximum_count
    if not 0 <= count <= MAX_ATTEMPT_COUNT:
        violations.append(FieldViolation("attempts.maximum_count", f"is {count}, outside 0 to {MAX_ATTEMPT_COUNT}"))
    accept = attempts.accept if attempts.HasField("accept") else None
    if accept is not None and not 0.0 <= accept <= 1.0:
        violations.append(
            FieldViolation("attempts.accept", f"is {accept:g}; send a probability from 0 to 1, or leave it unset")
        )
    return AttemptWish(count, accept, frames) if frames is not None and count > 1 else None


def encode_plan(plan: AttemptPlan) -> attempts_pb2.Attempts:
    """The attempts of a job, with defaults filled in."""
    return attempts_pb2.Attempts(
        maximum_count=plan.maximum_count, accept=plan.accept, frames=WIRE_ATTEMPT_FRAMES[plan.frames]
    )


def encode_result(result: AttemptResult) -> attempts_pb2.AttemptResult:
    """An attempt that ended."""
    return attempts_pb2.AttemptResult(
        number=result.number,
        seed=result.seed,
        accepted=result.is_accepted,
        success=encode_success(result.success) if result.success is not None else None,
        work_duration=encode_duration(result.work_seconds),
    )


def encode_support(accept_from: float) -> attempts_pb2.AttemptSupport:
    """The field of GetCapabilities on attempts, for a bundle with this threshold."""
    return attempts_pb2.AttemptSupport(accept_from=accept_from, maximum_count=MAX_ATTEMPT_COUNT)
