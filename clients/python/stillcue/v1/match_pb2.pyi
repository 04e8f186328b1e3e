from stillcue.v1 import media_pb2 as _media_pb2
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class MatchVerdict(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    MATCH_VERDICT_UNSPECIFIED: _ClassVar[MatchVerdict]
    MATCH_VERDICT_GOOD: _ClassVar[MatchVerdict]
    MATCH_VERDICT_DOUBTFUL: _ClassVar[MatchVerdict]
    MATCH_VERDICT_POOR: _ClassVar[MatchVerdict]

class MatchBasis(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    MATCH_BASIS_UNSPECIFIED: _ClassVar[MatchBasis]
    MATCH_BASIS_UNCALIBRATED: _ClassVar[MatchBasis]
    MATCH_BASIS_CALIBRATED: _ClassVar[MatchBasis]

class MatchMode(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    MATCH_MODE_UNSPECIFIED: _ClassVar[MatchMode]
    MATCH_MODE_OFF: _ClassVar[MatchMode]
    MATCH_MODE_REPORT: _ClassVar[MatchMode]
    MATCH_MODE_REQUIRE: _ClassVar[MatchMode]
MATCH_VERDICT_UNSPECIFIED: MatchVerdict
MATCH_VERDICT_GOOD: MatchVerdict
MATCH_VERDICT_DOUBTFUL: MatchVerdict
MATCH_VERDICT_POOR: MatchVerdict
MATCH_BASIS_UNSPECIFIED: MatchBasis
MATCH_BASIS_UNCALIBRATED: MatchBasis
MATCH_BASIS_CALIBRATED: MatchBasis
MATCH_MODE_UNSPECIFIED: MatchMode
MATCH_MODE_OFF: MatchMode
MATCH_MODE_REPORT: MatchMode
MATCH_MODE_REQUIRE: MatchMode

class ScoreMatchRequest(_message.Message):
    __slots__ = ("image", "prompt")
    IMAGE_FIELD_NUMBER: _ClassVar[int]
    PROMPT_FIELD_NUMBER: _ClassVar[int]
    image: _media_pb2.Image
    prompt: str
    def __init__(self, image: _Optional[_Union[_media_pb2.Image, _Mapping]] = ..., prompt: _Optional[str] = ...) -> None: ...

class ScoreMatchResponse(_message.Message):
    __slots__ = ("report",)
    REPORT_FIELD_NUMBER: _ClassVar[int]
    report: MatchReport
    def __init__(self, report: _Optional[_Union[MatchReport, _Mapping]] = ...) -> None: ...

class MatchReport(_message.Message):
    __slots__ = ("score", "verdict", "similarity", "contrast", "basis")
    SCORE_FIELD_NUMBER: _ClassVar[int]
    VERDICT_FIELD_NUMBER: _ClassVar[int]
    SIMILARITY_FIELD_NUMBER: _ClassVar[int]
    CONTRAST_FIELD_NUMBER: _ClassVar[int]
    BASIS_FIELD_NUMBER: _ClassVar[int]
    score: float
    verdict: MatchVerdict
    similarity: float
    contrast: float
    basis: MatchBasis
    def __init__(self, score: _Optional[float] = ..., verdict: _Optional[_Union[MatchVerdict, str]] = ..., similarity: _Optional[float] = ..., contrast: _Optional[float] = ..., basis: _Optional[_Union[MatchBasis, str]] = ...) -> None: ...

class MatchPolicy(_message.Message):
    __slots__ = ("mode", "minimum_score")
    MODE_FIELD_NUMBER: _ClassVar[int]
    MINIMUM_SCORE_FIELD_NUMBER: _ClassVar[int]
    mode: MatchMode
    minimum_score: float
    def __init__(self, mode: _Optional[_Union[MatchMode, str]] = ..., minimum_score: _Optional[float] = ...) -> None: ...
