from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class DiagnosisOutcome(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    DIAGNOSIS_OUTCOME_UNSPECIFIED: _ClassVar[DiagnosisOutcome]
    DIAGNOSIS_OUTCOME_CLEAN: _ClassVar[DiagnosisOutcome]
    DIAGNOSIS_OUTCOME_SUSPECT: _ClassVar[DiagnosisOutcome]

class SymptomKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SYMPTOM_KIND_UNSPECIFIED: _ClassVar[SymptomKind]
    SYMPTOM_KIND_SUBJECT_DRIFT: _ClassVar[SymptomKind]
    SYMPTOM_KIND_FROZEN: _ClassVar[SymptomKind]
    SYMPTOM_KIND_FLICKER: _ClassVar[SymptomKind]
    SYMPTOM_KIND_SCENE_CUT: _ClassVar[SymptomKind]
    SYMPTOM_KIND_FIRST_FRAME: _ClassVar[SymptomKind]
    SYMPTOM_KIND_MATCH_LOSS: _ClassVar[SymptomKind]
    SYMPTOM_KIND_BURNT_COLOURS: _ClassVar[SymptomKind]
    SYMPTOM_KIND_POOR_MATCH: _ClassVar[SymptomKind]
    SYMPTOM_KIND_LOW_CHANCE: _ClassVar[SymptomKind]
    SYMPTOM_KIND_SEAM_JUMP: _ClassVar[SymptomKind]
    SYMPTOM_KIND_COLOUR_SHIFT: _ClassVar[SymptomKind]
    SYMPTOM_KIND_LOOP_BACK: _ClassVar[SymptomKind]

class RemedyKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    REMEDY_KIND_UNSPECIFIED: _ClassVar[RemedyKind]
    REMEDY_KIND_MATCH: _ClassVar[RemedyKind]
    REMEDY_KIND_SHORTEN: _ClassVar[RemedyKind]
    REMEDY_KIND_PICTURE: _ClassVar[RemedyKind]
    REMEDY_KIND_GUIDANCE: _ClassVar[RemedyKind]
    REMEDY_KIND_SHORTER_CHAIN: _ClassVar[RemedyKind]
    REMEDY_KIND_OTHER_STAGE: _ClassVar[RemedyKind]
DIAGNOSIS_OUTCOME_UNSPECIFIED: DiagnosisOutcome
DIAGNOSIS_OUTCOME_CLEAN: DiagnosisOutcome
DIAGNOSIS_OUTCOME_SUSPECT: DiagnosisOutcome
SYMPTOM_KIND_UNSPECIFIED: SymptomKind
SYMPTOM_KIND_SUBJECT_DRIFT: SymptomKind
SYMPTOM_KIND_FROZEN: SymptomKind
SYMPTOM_KIND_FLICKER: SymptomKind
SYMPTOM_KIND_SCENE_CUT: SymptomKind
SYMPTOM_KIND_FIRST_FRAME: SymptomKind
SYMPTOM_KIND_MATCH_LOSS: SymptomKind
SYMPTOM_KIND_BURNT_COLOURS: SymptomKind
SYMPTOM_KIND_POOR_MATCH: SymptomKind
SYMPTOM_KIND_LOW_CHANCE: SymptomKind
SYMPTOM_KIND_SEAM_JUMP: SymptomKind
SYMPTOM_KIND_COLOUR_SHIFT: SymptomKind
SYMPTOM_KIND_LOOP_BACK: SymptomKind
REMEDY_KIND_UNSPECIFIED: RemedyKind
REMEDY_KIND_MATCH: RemedyKind
REMEDY_KIND_SHORTEN: RemedyKind
REMEDY_KIND_PICTURE: RemedyKind
REMEDY_KIND_GUIDANCE: RemedyKind
REMEDY_KIND_SHORTER_CHAIN: RemedyKind
REMEDY_KIND_OTHER_STAGE: RemedyKind

class Diagnosis(_message.Message):
    __slots__ = ("outcome", "symptoms", "remedies", "metrics")
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    SYMPTOMS_FIELD_NUMBER: _ClassVar[int]
    REMEDIES_FIELD_NUMBER: _ClassVar[int]
    METRICS_FIELD_NUMBER: _ClassVar[int]
    outcome: DiagnosisOutcome
    symptoms: _containers.RepeatedCompositeFieldContainer[Symptom]
    remedies: _containers.RepeatedCompositeFieldContainer[Remedy]
    metrics: ClipMetrics
    def __init__(self, outcome: _Optional[_Union[DiagnosisOutcome, str]] = ..., symptoms: _Optional[_Iterable[_Union[Symptom, _Mapping]]] = ..., remedies: _Optional[_Iterable[_Union[Remedy, _Mapping]]] = ..., metrics: _Optional[_Union[ClipMetrics, _Mapping]] = ...) -> None: ...

class Symptom(_message.Message):
    __slots__ = ("kind", "message")
    KIND_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    kind: SymptomKind
    message: str
    def __init__(self, kind: _Optional[_Union[SymptomKind, str]] = ..., message: _Optional[str] = ...) -> None: ...

class Remedy(_message.Message):
    __slots__ = ("kind", "message")
    KIND_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    kind: RemedyKind
    message: str
    def __init__(self, kind: _Optional[_Union[RemedyKind, str]] = ..., message: _Optional[str] = ...) -> None: ...

class ClipMetrics(_message.Message):
    __slots__ = ("vbench_like_subject_consistency", "vbench_like_background_consistency", "subject_drift", "vbench_like_dynamic_degree", "motion_speed", "vbench_like_temporal_flicker", "largest_change", "burnt_gain", "new_content", "edge_gain", "saturation_gain")
    VBENCH_LIKE_SUBJECT_CONSISTENCY_FIELD_NUMBER: _ClassVar[int]
    VBENCH_LIKE_BACKGROUND_CONSISTENCY_FIELD_NUMBER: _ClassVar[int]
    SUBJECT_DRIFT_FIELD_NUMBER: _ClassVar[int]
    VBENCH_LIKE_DYNAMIC_DEGREE_FIELD_NUMBER: _ClassVar[int]
    MOTION_SPEED_FIELD_NUMBER: _ClassVar[int]
    VBENCH_LIKE_TEMPORAL_FLICKER_FIELD_NUMBER: _ClassVar[int]
    LARGEST_CHANGE_FIELD_NUMBER: _ClassVar[int]
    BURNT_GAIN_FIELD_NUMBER: _ClassVar[int]
    NEW_CONTENT_FIELD_NUMBER: _ClassVar[int]
    EDGE_GAIN_FIELD_NUMBER: _ClassVar[int]
    SATURATION_GAIN_FIELD_NUMBER: _ClassVar[int]
    vbench_like_subject_consistency: float
    vbench_like_background_consistency: float
    subject_drift: float
    vbench_like_dynamic_degree: float
    motion_speed: float
    vbench_like_temporal_flicker: float
    largest_change: float
    burnt_gain: float
    new_content: float
    edge_gain: float
    saturation_gain: float
    def __init__(self, vbench_like_subject_consistency: _Optional[float] = ..., vbench_like_background_consistency: _Optional[float] = ..., subject_drift: _Optional[float] = ..., vbench_like_dynamic_degree: _Optional[float] = ..., motion_speed: _Optional[float] = ..., vbench_like_temporal_flicker: _Optional[float] = ..., largest_change: _Optional[float] = ..., burnt_gain: _Optional[float] = ..., new_content: _Optional[float] = ..., edge_gain: _Optional[float] = ..., saturation_gain: _Optional[float] = ...) -> None: ...
