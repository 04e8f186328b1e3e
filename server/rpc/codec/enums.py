"""Enums of the contract and of the domain. The members have the same names, so the tables are derived.

A value ``FRAME_ENCODING_PNG`` of the contract is ``FrameEncoding.PNG`` of the domain: the prefix is the name of the
contract's type. A domain enum with a member that the contract lacks fails at import.
"""

from __future__ import annotations

import enum
import re
from typing import TYPE_CHECKING, Any, TypeVar

from engine.api.capabilities import Family
from engine.api.diagnosis import RemedyKind, SymptomKind
from engine.api.events import Expert, Stage
from engine.api.job import MatchMode, PictureFit
from engine.api.match_report import MatchBasis, MatchVerdict, SuccessBasis
from engine.api.media import FrameEncoding, ImageFormat
from engine.api.prompt_report import ClauseKind, Severity
from engine.api.reuse import StepReuse, StepWork
from engine.api.video import VideoCodec, VideoContainer
from server.errors.refusals import FieldViolation
from server.jobs.attempt_plan import AttemptFrames
from server.jobs.attempts import AttemptsEnd
from stillcue.v1 import (
    attempts_pb2,
    capabilities_pb2,
    diagnosis_pb2,
    generate_pb2,
    match_pb2,
    media_pb2,
    prompt_report_pb2,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

_E = TypeVar("_E", bound=enum.Enum)
_T = TypeVar("_T")


def _to_wire(domain: type[_E], contract: Any) -> dict[_E, Any]:
    """The contract's number of each member; ``contract`` is the enum type of the generated stubs."""
    prefix = re.sub(r"(?<!^)(?=[A-Z])", "_", contract.DESCRIPTOR.name).upper()
    return {member: contract.Value(f"{prefix}_{member.name}") for member in domain}


def _from_wire(domain: type[_E], contract: Any, unspecified: _E | None) -> dict[int, _E | None]:
    """The member of each number; 0 is the contract's UNSPECIFIED."""
    return {0: unspecified, **{number: member for member, number in _to_wire(domain, contract).items()}}


IMAGE_FORMATS = _from_wire(ImageFormat, media_pb2.ImageFormat, None)
FRAME_ENCODINGS = _from_wire(FrameEncoding, media_pb2.FrameEncoding, FrameEncoding.PNG)
MATCH_MODES = _from_wire(MatchMode, match_pb2.MatchMode, None)
PICTURE_FITS = _from_wire(PictureFit, media_pb2.PictureFit, None)
VIDEO_CONTAINERS = _from_wire(VideoContainer, media_pb2.VideoContainer, None)
VIDEO_CODECS = _from_wire(VideoCodec, media_pb2.VideoCodec, None)
STEP_REUSES = _from_wire(StepReuse, generate_pb2.StepReuse, None)
ATTEMPT_FRAMES = _from_wire(AttemptFrames, attempts_pb2.AttemptFrames, AttemptFrames.ALL)

WIRE_IMAGE_FORMATS = _to_wire(ImageFormat, media_pb2.ImageFormat)
WIRE_PICTURE_FITS = _to_wire(PictureFit, media_pb2.PictureFit)
WIRE_FRAME_ENCODINGS = _to_wire(FrameEncoding, media_pb2.FrameEncoding)
WIRE_VIDEO_CODECS = _to_wire(VideoCodec, media_pb2.VideoCodec)
WIRE_CLAUSE_KINDS = _to_wire(ClauseKind, prompt_report_pb2.ClauseKind)
WIRE_SEVERITIES = _to_wire(Severity, prompt_report_pb2.FindingSeverity)
WIRE_SUCCESS_BASES = _to_wire(SuccessBasis, match_pb2.SuccessBasis)
WIRE_SYMPTOMS = _to_wire(SymptomKind, diagnosis_pb2.SymptomKind)
WIRE_REMEDIES = _to_wire(RemedyKind, diagnosis_pb2.RemedyKind)
WIRE_STAGES = _to_wire(Stage, generate_pb2.Stage)
WIRE_EXPERTS = _to_wire(Expert, generate_pb2.Expert)
WIRE_STEP_REUSES = _to_wire(StepReuse, generate_pb2.StepReuse)
WIRE_STEP_WORKS = _to_wire(StepWork, generate_pb2.StepWork)
WIRE_VERDICTS = _to_wire(MatchVerdict, match_pb2.MatchVerdict)
WIRE_BASES = _to_wire(MatchBasis, match_pb2.MatchBasis)
WIRE_ATTEMPT_FRAMES = _to_wire(AttemptFrames, attempts_pb2.AttemptFrames)
WIRE_ATTEMPTS_ENDS = _to_wire(AttemptsEnd, attempts_pb2.AttemptsEnd)
WIRE_FAMILIES = _to_wire(Family, capabilities_pb2.ModelFamily)


def decode_enum(table: Mapping[int, _T], number: int, path: str, violations: list[FieldViolation]) -> _T | None:
    """The member of a number; None, with a violation, for a number that the table lacks."""
    if number not in table:
        known = ", ".join(str(item) for item in table)
        violations.append(FieldViolation(path, f"is {number}; this server knows {known}"))
    return table.get(number)
