from stillcue.v1 import media_pb2 as _media_pb2
from stillcue.v1 import picture_report_pb2 as _picture_report_pb2
from stillcue.v1 import prompt_report_pb2 as _prompt_report_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class SuccessBasis(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SUCCESS_BASIS_UNSPECIFIED: _ClassVar[SuccessBasis]
    SUCCESS_BASIS_ARTICLE_PRIOR: _ClassVar[SuccessBasis]
    SUCCESS_BASIS_MEASURED: _ClassVar[SuccessBasis]

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
SUCCESS_BASIS_UNSPECIFIED: SuccessBasis
SUCCESS_BASIS_ARTICLE_PRIOR: SuccessBasis
SUCCESS_BASIS_MEASURED: SuccessBasis
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
    __slots__ = ("image", "prompt", "negative_prompt", "width_px", "height_px", "frame_count", "frame_rate", "guidance_scale", "include_heat_map", "include_crop", "picture_fit")
    IMAGE_FIELD_NUMBER: _ClassVar[int]
    PROMPT_FIELD_NUMBER: _ClassVar[int]
    NEGATIVE_PROMPT_FIELD_NUMBER: _ClassVar[int]
    WIDTH_PX_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_PX_FIELD_NUMBER: _ClassVar[int]
    FRAME_COUNT_FIELD_NUMBER: _ClassVar[int]
    FRAME_RATE_FIELD_NUMBER: _ClassVar[int]
    GUIDANCE_SCALE_FIELD_NUMBER: _ClassVar[int]
    INCLUDE_HEAT_MAP_FIELD_NUMBER: _ClassVar[int]
    INCLUDE_CROP_FIELD_NUMBER: _ClassVar[int]
    PICTURE_FIT_FIELD_NUMBER: _ClassVar[int]
    image: _media_pb2.Image
    prompt: str
    negative_prompt: str
    width_px: int
    height_px: int
    frame_count: int
    frame_rate: float
    guidance_scale: float
    include_heat_map: bool
    include_crop: bool
    picture_fit: _media_pb2.PictureFit
    def __init__(self, image: _Optional[_Union[_media_pb2.Image, _Mapping]] = ..., prompt: _Optional[str] = ..., negative_prompt: _Optional[str] = ..., width_px: _Optional[int] = ..., height_px: _Optional[int] = ..., frame_count: _Optional[int] = ..., frame_rate: _Optional[float] = ..., guidance_scale: _Optional[float] = ..., include_heat_map: bool = ..., include_crop: bool = ..., picture_fit: _Optional[_Union[_media_pb2.PictureFit, str]] = ...) -> None: ...

class ScoreMatchResponse(_message.Message):
    __slots__ = ("report", "heat_map_png", "crop_png")
    REPORT_FIELD_NUMBER: _ClassVar[int]
    HEAT_MAP_PNG_FIELD_NUMBER: _ClassVar[int]
    CROP_PNG_FIELD_NUMBER: _ClassVar[int]
    report: MatchReport
    heat_map_png: bytes
    crop_png: bytes
    def __init__(self, report: _Optional[_Union[MatchReport, _Mapping]] = ..., heat_map_png: _Optional[bytes] = ..., crop_png: _Optional[bytes] = ...) -> None: ...

class MatchReport(_message.Message):
    __slots__ = ("score", "verdict", "similarity", "contrast", "basis", "clauses", "action_plausibility", "success", "grounding", "missing_nouns", "prompt_report", "picture_report", "crops", "calibration_error")
    SCORE_FIELD_NUMBER: _ClassVar[int]
    VERDICT_FIELD_NUMBER: _ClassVar[int]
    SIMILARITY_FIELD_NUMBER: _ClassVar[int]
    CONTRAST_FIELD_NUMBER: _ClassVar[int]
    BASIS_FIELD_NUMBER: _ClassVar[int]
    CLAUSES_FIELD_NUMBER: _ClassVar[int]
    ACTION_PLAUSIBILITY_FIELD_NUMBER: _ClassVar[int]
    SUCCESS_FIELD_NUMBER: _ClassVar[int]
    GROUNDING_FIELD_NUMBER: _ClassVar[int]
    MISSING_NOUNS_FIELD_NUMBER: _ClassVar[int]
    PROMPT_REPORT_FIELD_NUMBER: _ClassVar[int]
    PICTURE_REPORT_FIELD_NUMBER: _ClassVar[int]
    CROPS_FIELD_NUMBER: _ClassVar[int]
    CALIBRATION_ERROR_FIELD_NUMBER: _ClassVar[int]
    score: float
    verdict: MatchVerdict
    similarity: float
    contrast: float
    basis: MatchBasis
    clauses: _containers.RepeatedCompositeFieldContainer[ClauseScore]
    action_plausibility: float
    success: SuccessEstimate
    grounding: Grounding
    missing_nouns: _containers.RepeatedCompositeFieldContainer[MissingNoun]
    prompt_report: _prompt_report_pb2.PromptReport
    picture_report: _picture_report_pb2.PictureReport
    crops: _containers.RepeatedCompositeFieldContainer[CropProposal]
    calibration_error: float
    def __init__(self, score: _Optional[float] = ..., verdict: _Optional[_Union[MatchVerdict, str]] = ..., similarity: _Optional[float] = ..., contrast: _Optional[float] = ..., basis: _Optional[_Union[MatchBasis, str]] = ..., clauses: _Optional[_Iterable[_Union[ClauseScore, _Mapping]]] = ..., action_plausibility: _Optional[float] = ..., success: _Optional[_Union[SuccessEstimate, _Mapping]] = ..., grounding: _Optional[_Union[Grounding, _Mapping]] = ..., missing_nouns: _Optional[_Iterable[_Union[MissingNoun, _Mapping]]] = ..., prompt_report: _Optional[_Union[_prompt_report_pb2.PromptReport, _Mapping]] = ..., picture_report: _Optional[_Union[_picture_report_pb2.PictureReport, _Mapping]] = ..., crops: _Optional[_Iterable[_Union[CropProposal, _Mapping]]] = ..., calibration_error: _Optional[float] = ...) -> None: ...

class ClauseScore(_message.Message):
    __slots__ = ("kind", "span", "text", "stage", "probability", "gated_probability", "weight", "contrast")
    KIND_FIELD_NUMBER: _ClassVar[int]
    SPAN_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    STAGE_FIELD_NUMBER: _ClassVar[int]
    PROBABILITY_FIELD_NUMBER: _ClassVar[int]
    GATED_PROBABILITY_FIELD_NUMBER: _ClassVar[int]
    WEIGHT_FIELD_NUMBER: _ClassVar[int]
    CONTRAST_FIELD_NUMBER: _ClassVar[int]
    kind: _prompt_report_pb2.ClauseKind
    span: _prompt_report_pb2.TextSpan
    text: str
    stage: int
    probability: float
    gated_probability: float
    weight: float
    contrast: float
    def __init__(self, kind: _Optional[_Union[_prompt_report_pb2.ClauseKind, str]] = ..., span: _Optional[_Union[_prompt_report_pb2.TextSpan, _Mapping]] = ..., text: _Optional[str] = ..., stage: _Optional[int] = ..., probability: _Optional[float] = ..., gated_probability: _Optional[float] = ..., weight: _Optional[float] = ..., contrast: _Optional[float] = ...) -> None: ...

class SuccessEstimate(_message.Message):
    __slots__ = ("probability", "basis", "brier_score", "calibration_error", "factors")
    PROBABILITY_FIELD_NUMBER: _ClassVar[int]
    BASIS_FIELD_NUMBER: _ClassVar[int]
    BRIER_SCORE_FIELD_NUMBER: _ClassVar[int]
    CALIBRATION_ERROR_FIELD_NUMBER: _ClassVar[int]
    FACTORS_FIELD_NUMBER: _ClassVar[int]
    probability: float
    basis: SuccessBasis
    brier_score: float
    calibration_error: float
    factors: _containers.RepeatedCompositeFieldContainer[SuccessFactor]
    def __init__(self, probability: _Optional[float] = ..., basis: _Optional[_Union[SuccessBasis, str]] = ..., brier_score: _Optional[float] = ..., calibration_error: _Optional[float] = ..., factors: _Optional[_Iterable[_Union[SuccessFactor, _Mapping]]] = ...) -> None: ...

class SuccessFactor(_message.Message):
    __slots__ = ("name", "value", "log_odds")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    LOG_ODDS_FIELD_NUMBER: _ClassVar[int]
    name: str
    value: float
    log_odds: float
    def __init__(self, name: _Optional[str] = ..., value: _Optional[float] = ..., log_odds: _Optional[float] = ...) -> None: ...

class Grounding(_message.Message):
    __slots__ = ("box", "coverage", "strict_coverage", "center_x", "center_y", "center_offset")
    BOX_FIELD_NUMBER: _ClassVar[int]
    COVERAGE_FIELD_NUMBER: _ClassVar[int]
    STRICT_COVERAGE_FIELD_NUMBER: _ClassVar[int]
    CENTER_X_FIELD_NUMBER: _ClassVar[int]
    CENTER_Y_FIELD_NUMBER: _ClassVar[int]
    CENTER_OFFSET_FIELD_NUMBER: _ClassVar[int]
    box: _media_pb2.Box
    coverage: float
    strict_coverage: float
    center_x: float
    center_y: float
    center_offset: float
    def __init__(self, box: _Optional[_Union[_media_pb2.Box, _Mapping]] = ..., coverage: _Optional[float] = ..., strict_coverage: _Optional[float] = ..., center_x: _Optional[float] = ..., center_y: _Optional[float] = ..., center_offset: _Optional[float] = ...) -> None: ...

class CropProposal(_message.Message):
    __slots__ = ("width_px", "height_px", "crop", "scale", "subject_share", "coverage", "strict_coverage")
    WIDTH_PX_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_PX_FIELD_NUMBER: _ClassVar[int]
    CROP_FIELD_NUMBER: _ClassVar[int]
    SCALE_FIELD_NUMBER: _ClassVar[int]
    SUBJECT_SHARE_FIELD_NUMBER: _ClassVar[int]
    COVERAGE_FIELD_NUMBER: _ClassVar[int]
    STRICT_COVERAGE_FIELD_NUMBER: _ClassVar[int]
    width_px: int
    height_px: int
    crop: _media_pb2.Box
    scale: float
    subject_share: float
    coverage: float
    strict_coverage: float
    def __init__(self, width_px: _Optional[int] = ..., height_px: _Optional[int] = ..., crop: _Optional[_Union[_media_pb2.Box, _Mapping]] = ..., scale: _Optional[float] = ..., subject_share: _Optional[float] = ..., coverage: _Optional[float] = ..., strict_coverage: _Optional[float] = ...) -> None: ...

class MissingNoun(_message.Message):
    __slots__ = ("span", "text")
    SPAN_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    span: _prompt_report_pb2.TextSpan
    text: str
    def __init__(self, span: _Optional[_Union[_prompt_report_pb2.TextSpan, _Mapping]] = ..., text: _Optional[str] = ...) -> None: ...

class MatchPolicy(_message.Message):
    __slots__ = ("mode", "minimum_score")
    MODE_FIELD_NUMBER: _ClassVar[int]
    MINIMUM_SCORE_FIELD_NUMBER: _ClassVar[int]
    mode: MatchMode
    minimum_score: float
    def __init__(self, mode: _Optional[_Union[MatchMode, str]] = ..., minimum_score: _Optional[float] = ...) -> None: ...
