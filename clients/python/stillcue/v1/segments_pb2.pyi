import datetime

from google.protobuf import duration_pb2 as _duration_pb2
from stillcue.v1 import diagnosis_pb2 as _diagnosis_pb2
from stillcue.v1 import match_pb2 as _match_pb2
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class SegmentSpec(_message.Message):
    __slots__ = ("prompt", "frame_count", "seed", "guidance_scale", "guidance_scale_low_noise")
    PROMPT_FIELD_NUMBER: _ClassVar[int]
    FRAME_COUNT_FIELD_NUMBER: _ClassVar[int]
    SEED_FIELD_NUMBER: _ClassVar[int]
    GUIDANCE_SCALE_FIELD_NUMBER: _ClassVar[int]
    GUIDANCE_SCALE_LOW_NOISE_FIELD_NUMBER: _ClassVar[int]
    prompt: str
    frame_count: int
    seed: int
    guidance_scale: float
    guidance_scale_low_noise: float
    def __init__(self, prompt: _Optional[str] = ..., frame_count: _Optional[int] = ..., seed: _Optional[int] = ..., guidance_scale: _Optional[float] = ..., guidance_scale_low_noise: _Optional[float] = ...) -> None: ...

class SegmentSettings(_message.Message):
    __slots__ = ("number", "prompt", "first_frame_index", "frame_count", "compiled_frame_count", "seed", "guidance_scale", "guidance_scale_low_noise")
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    PROMPT_FIELD_NUMBER: _ClassVar[int]
    FIRST_FRAME_INDEX_FIELD_NUMBER: _ClassVar[int]
    FRAME_COUNT_FIELD_NUMBER: _ClassVar[int]
    COMPILED_FRAME_COUNT_FIELD_NUMBER: _ClassVar[int]
    SEED_FIELD_NUMBER: _ClassVar[int]
    GUIDANCE_SCALE_FIELD_NUMBER: _ClassVar[int]
    GUIDANCE_SCALE_LOW_NOISE_FIELD_NUMBER: _ClassVar[int]
    number: int
    prompt: str
    first_frame_index: int
    frame_count: int
    compiled_frame_count: int
    seed: int
    guidance_scale: float
    guidance_scale_low_noise: float
    def __init__(self, number: _Optional[int] = ..., prompt: _Optional[str] = ..., first_frame_index: _Optional[int] = ..., frame_count: _Optional[int] = ..., compiled_frame_count: _Optional[int] = ..., seed: _Optional[int] = ..., guidance_scale: _Optional[float] = ..., guidance_scale_low_noise: _Optional[float] = ...) -> None: ...

class SegmentStarted(_message.Message):
    __slots__ = ("number", "segment_count")
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    SEGMENT_COUNT_FIELD_NUMBER: _ClassVar[int]
    number: int
    segment_count: int
    def __init__(self, number: _Optional[int] = ..., segment_count: _Optional[int] = ...) -> None: ...

class SegmentResult(_message.Message):
    __slots__ = ("number", "first_frame_index", "frame_count", "match_report", "diagnosis", "success", "work_duration", "seam")
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    FIRST_FRAME_INDEX_FIELD_NUMBER: _ClassVar[int]
    FRAME_COUNT_FIELD_NUMBER: _ClassVar[int]
    MATCH_REPORT_FIELD_NUMBER: _ClassVar[int]
    DIAGNOSIS_FIELD_NUMBER: _ClassVar[int]
    SUCCESS_FIELD_NUMBER: _ClassVar[int]
    WORK_DURATION_FIELD_NUMBER: _ClassVar[int]
    SEAM_FIELD_NUMBER: _ClassVar[int]
    number: int
    first_frame_index: int
    frame_count: int
    match_report: _match_pb2.MatchReport
    diagnosis: _diagnosis_pb2.Diagnosis
    success: _match_pb2.SuccessEstimate
    work_duration: _duration_pb2.Duration
    seam: Seam
    def __init__(self, number: _Optional[int] = ..., first_frame_index: _Optional[int] = ..., frame_count: _Optional[int] = ..., match_report: _Optional[_Union[_match_pb2.MatchReport, _Mapping]] = ..., diagnosis: _Optional[_Union[_diagnosis_pb2.Diagnosis, _Mapping]] = ..., success: _Optional[_Union[_match_pb2.SuccessEstimate, _Mapping]] = ..., work_duration: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., seam: _Optional[_Union[Seam, _Mapping]] = ...) -> None: ...

class Seam(_message.Message):
    __slots__ = ("frame_index", "motion_jump", "motion_jump_inside", "colour_shift", "colour_shift_inside")
    FRAME_INDEX_FIELD_NUMBER: _ClassVar[int]
    MOTION_JUMP_FIELD_NUMBER: _ClassVar[int]
    MOTION_JUMP_INSIDE_FIELD_NUMBER: _ClassVar[int]
    COLOUR_SHIFT_FIELD_NUMBER: _ClassVar[int]
    COLOUR_SHIFT_INSIDE_FIELD_NUMBER: _ClassVar[int]
    frame_index: int
    motion_jump: float
    motion_jump_inside: float
    colour_shift: float
    colour_shift_inside: float
    def __init__(self, frame_index: _Optional[int] = ..., motion_jump: _Optional[float] = ..., motion_jump_inside: _Optional[float] = ..., colour_shift: _Optional[float] = ..., colour_shift_inside: _Optional[float] = ...) -> None: ...

class ChainDrift(_message.Message):
    __slots__ = ("subject_consistency", "loop_back")
    SUBJECT_CONSISTENCY_FIELD_NUMBER: _ClassVar[int]
    LOOP_BACK_FIELD_NUMBER: _ClassVar[int]
    subject_consistency: float
    loop_back: float
    def __init__(self, subject_consistency: _Optional[float] = ..., loop_back: _Optional[float] = ...) -> None: ...

class ChainStop(_message.Message):
    __slots__ = ("segment", "match_report", "minimum_score")
    SEGMENT_FIELD_NUMBER: _ClassVar[int]
    MATCH_REPORT_FIELD_NUMBER: _ClassVar[int]
    MINIMUM_SCORE_FIELD_NUMBER: _ClassVar[int]
    segment: int
    match_report: _match_pb2.MatchReport
    minimum_score: float
    def __init__(self, segment: _Optional[int] = ..., match_report: _Optional[_Union[_match_pb2.MatchReport, _Mapping]] = ..., minimum_score: _Optional[float] = ...) -> None: ...

class ChainSupport(_message.Message):
    __slots__ = ("max_segment_count", "given_frame_count", "max_frame_count")
    MAX_SEGMENT_COUNT_FIELD_NUMBER: _ClassVar[int]
    GIVEN_FRAME_COUNT_FIELD_NUMBER: _ClassVar[int]
    MAX_FRAME_COUNT_FIELD_NUMBER: _ClassVar[int]
    max_segment_count: int
    given_frame_count: int
    max_frame_count: int
    def __init__(self, max_segment_count: _Optional[int] = ..., given_frame_count: _Optional[int] = ..., max_frame_count: _Optional[int] = ...) -> None: ...
