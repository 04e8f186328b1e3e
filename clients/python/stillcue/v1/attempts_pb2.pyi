import datetime

from google.protobuf import duration_pb2 as _duration_pb2
from stillcue.v1 import match_pb2 as _match_pb2
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class AttemptFrames(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ATTEMPT_FRAMES_UNSPECIFIED: _ClassVar[AttemptFrames]
    ATTEMPT_FRAMES_ALL: _ClassVar[AttemptFrames]
    ATTEMPT_FRAMES_ACCEPTED: _ClassVar[AttemptFrames]

class AttemptsEnd(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ATTEMPTS_END_UNSPECIFIED: _ClassVar[AttemptsEnd]
    ATTEMPTS_END_ACCEPTED: _ClassVar[AttemptsEnd]
    ATTEMPTS_END_MAXIMUM_COUNT: _ClassVar[AttemptsEnd]
    ATTEMPTS_END_DEADLINE: _ClassVar[AttemptsEnd]
    ATTEMPTS_END_QUOTA: _ClassVar[AttemptsEnd]
    ATTEMPTS_END_DRAINING: _ClassVar[AttemptsEnd]
ATTEMPT_FRAMES_UNSPECIFIED: AttemptFrames
ATTEMPT_FRAMES_ALL: AttemptFrames
ATTEMPT_FRAMES_ACCEPTED: AttemptFrames
ATTEMPTS_END_UNSPECIFIED: AttemptsEnd
ATTEMPTS_END_ACCEPTED: AttemptsEnd
ATTEMPTS_END_MAXIMUM_COUNT: AttemptsEnd
ATTEMPTS_END_DEADLINE: AttemptsEnd
ATTEMPTS_END_QUOTA: AttemptsEnd
ATTEMPTS_END_DRAINING: AttemptsEnd

class Attempts(_message.Message):
    __slots__ = ("maximum_count", "accept", "frames")
    MAXIMUM_COUNT_FIELD_NUMBER: _ClassVar[int]
    ACCEPT_FIELD_NUMBER: _ClassVar[int]
    FRAMES_FIELD_NUMBER: _ClassVar[int]
    maximum_count: int
    accept: float
    frames: AttemptFrames
    def __init__(self, maximum_count: _Optional[int] = ..., accept: _Optional[float] = ..., frames: _Optional[_Union[AttemptFrames, str]] = ...) -> None: ...

class AttemptResult(_message.Message):
    __slots__ = ("number", "seed", "accepted", "success", "work_duration")
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    SEED_FIELD_NUMBER: _ClassVar[int]
    ACCEPTED_FIELD_NUMBER: _ClassVar[int]
    SUCCESS_FIELD_NUMBER: _ClassVar[int]
    WORK_DURATION_FIELD_NUMBER: _ClassVar[int]
    number: int
    seed: int
    accepted: bool
    success: _match_pb2.SuccessEstimate
    work_duration: _duration_pb2.Duration
    def __init__(self, number: _Optional[int] = ..., seed: _Optional[int] = ..., accepted: bool = ..., success: _Optional[_Union[_match_pb2.SuccessEstimate, _Mapping]] = ..., work_duration: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class AttemptSupport(_message.Message):
    __slots__ = ("accept_from", "maximum_count")
    ACCEPT_FROM_FIELD_NUMBER: _ClassVar[int]
    MAXIMUM_COUNT_FIELD_NUMBER: _ClassVar[int]
    accept_from: float
    maximum_count: int
    def __init__(self, accept_from: _Optional[float] = ..., maximum_count: _Optional[int] = ...) -> None: ...
