"""Errors become gRPC statuses with google.rpc details: ErrorInfo, BadRequest, QuotaFailure, RetryInfo and others."""

from __future__ import annotations

from itertools import accumulate
from typing import TYPE_CHECKING

import grpc
from google.protobuf import any_pb2, duration_pb2
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

from engine.api.errors import (
    EngineLost,
    EngineRestarting,
    MatchRefused,
    NonFiniteValues,
    ScorerMissing,
)
from engine.api.fields import Field
from server.errors.refusals import (
    DeadlineTooShort,
    FieldViolation,
    InvalidRequest,
    JobNotFound,
    QueueFull,
    QuotaExceeded,
    Refusal,
    SizeNotCompiled,
    SuccessFitMissing,
)
from server.errors.rules import Rule, rule_of
from server.rpc.codec.fields import GENERATE_PATHS
from server.rpc.codec.reports import encode_match_report, shortened

if TYPE_CHECKING:
    from collections.abc import Iterator

    from google.protobuf.message import Message

DOMAIN = "stillcue"
# Values of the fields that need a scorer, for a bundle without one.
_WITHOUT_SCORER = {Field.MATCH_MODE: "OFF", Field.PICTURE_FIT: "CROP_CENTER"}
_MAX_REPORT_BYTES = 4_000  # details travel as metadata, of which clients take 8 KiB
_MAX_VIOLATION_CHARACTERS = 1_500  # violations travel twice, in the message and in the details


def text_of(error: BaseException) -> str:
    """The message for a caller: the error's own, and the values of the request that avoid the error."""
    if isinstance(error, ScorerMissing):
        return f"{error}, or send {GENERATE_PATHS[error.field]} {_WITHOUT_SCORER[error.field]}"
    if isinstance(error, MatchRefused):
        return f"{error}, or send {GENERATE_PATHS[Field.MATCH_MODE]} REPORT to generate all the same"
    if isinstance(error, InvalidRequest):
        listed = _first_violations(error)
        further_count = len(error.violations) - len(listed)
        return "; ".join(map(str, listed)) + (f"; and {further_count} more" if further_count else "")
    return str(error)


def status_of(error: BaseException, request_id: str) -> grpc.Status:
    """The status that tells a caller about an error."""
    rule = rule_of(error)
    text = rule.public_text or text_of(error)
    if rule.public_text and rule.code is grpc.StatusCode.INTERNAL:  # such a text points to the log
        text = f"{text}: {request_id}"
    code_number: int = rule.code.value[0]
    status = status_pb2.Status(code=code_number, message=text)
    for detail in _details(error, rule, request_id):
        packed = any_pb2.Any()
        packed.Pack(detail)
        status.details.append(packed)
    return rpc_status.to_status(status)


def _details(error: BaseException, rule: Rule, request_id: str) -> Iterator[Message]:
    metadata = {"request_id": request_id, **_figures(error)}
    yield error_details_pb2.ErrorInfo(reason=rule.reason, domain=DOMAIN, metadata=metadata)
    if isinstance(error, InvalidRequest):
        yield _bad_request(_first_violations(error))
    if isinstance(error, SizeNotCompiled):
        yield _bad_request((error.violation,))
    if isinstance(error, MatchRefused):
        yield _precondition_failure(error, rule, "match.minimum_score")
        yield shortened(encode_match_report(error.report), _MAX_REPORT_BYTES)
    if isinstance(error, ScorerMissing):
        yield _precondition_failure(error, rule, GENERATE_PATHS[error.field])
    if isinstance(error, SuccessFitMissing):
        yield _precondition_failure(error, rule, "attempts.maximum_count")
    retry_seconds = rule.retry_seconds
    if isinstance(error, QuotaExceeded):
        yield _quota_failure(f"caller:{error.caller_name}", error)
    if isinstance(error, QueueFull):
        yield _quota_failure("queue", error)
    if isinstance(error, (QuotaExceeded, QueueFull, EngineLost, EngineRestarting)):
        retry_seconds = error.retry_seconds
    if retry_seconds:
        delay = duration_pb2.Duration()
        delay.FromNanoseconds(round(retry_seconds * 1e9))
        yield error_details_pb2.RetryInfo(retry_delay=delay)


def _figures(error: BaseException) -> dict[str, str]:
    """The metadata of ErrorInfo that belong to the reason."""
    match error:
        case MatchRefused():
            return {"score": f"{error.score:g}", "minimum_score": f"{error.minimum_score:g}"}
        case NonFiniteValues():
            part = {"stage": error.stage.value, "precision": error.precision}
            if error.expert is None:
                return part
            step = {"step": str(error.step), "step_count": str(error.step_count)}
            return {**part, "expert": error.expert.value, **step}
        case JobNotFound(can_repeat=True):
            return {"can_repeat": "true"}
        case QuotaExceeded():
            return {"quota": error.quota, "limit": str(error.limit)}
        case DeadlineTooShort():
            return {
                "remaining_seconds": f"{error.remaining_seconds:.3f}",
                "wait_seconds": f"{error.wait_seconds:.3f}",
                "work_seconds": f"{error.work_seconds:.3f}",
            }
    return {}


def _first_violations(error: InvalidRequest) -> tuple[FieldViolation, ...]:
    """The violations of a request, as many as the metadata have room for, and at least one."""
    lengths = accumulate(len(str(item)) for item in error.violations)
    count = sum(length <= _MAX_VIOLATION_CHARACTERS for length in lengths)
    return error.violations[: max(count, 1)]


def _bad_request(violations: tuple[FieldViolation, ...]) -> error_details_pb2.BadRequest:
    return error_details_pb2.BadRequest(
        field_violations=[
            error_details_pb2.BadRequest.FieldViolation(field=item.path, description=item.description)
            for item in violations
        ]
    )


def _quota_failure(subject: str, error: Refusal) -> error_details_pb2.QuotaFailure:
    violation = error_details_pb2.QuotaFailure.Violation(subject=subject, description=text_of(error))
    return error_details_pb2.QuotaFailure(violations=[violation])


def _precondition_failure(error: Exception, rule: Rule, subject: str) -> error_details_pb2.PreconditionFailure:
    violation = error_details_pb2.PreconditionFailure.Violation(
        type=rule.reason, subject=subject, description=text_of(error)
    )
    return error_details_pb2.PreconditionFailure(violations=[violation])
