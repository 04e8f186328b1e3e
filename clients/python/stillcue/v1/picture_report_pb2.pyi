from stillcue.v1 import media_pb2 as _media_pb2
from stillcue.v1 import prompt_report_pb2 as _prompt_report_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class PictureReport(_message.Message):
    __slots__ = ("format", "width_px", "height_px", "sharpness", "blockiness", "lettering_coverage", "findings")
    FORMAT_FIELD_NUMBER: _ClassVar[int]
    WIDTH_PX_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_PX_FIELD_NUMBER: _ClassVar[int]
    SHARPNESS_FIELD_NUMBER: _ClassVar[int]
    BLOCKINESS_FIELD_NUMBER: _ClassVar[int]
    LETTERING_COVERAGE_FIELD_NUMBER: _ClassVar[int]
    FINDINGS_FIELD_NUMBER: _ClassVar[int]
    format: _media_pb2.ImageFormat
    width_px: int
    height_px: int
    sharpness: float
    blockiness: float
    lettering_coverage: float
    findings: _containers.RepeatedCompositeFieldContainer[PictureFinding]
    def __init__(self, format: _Optional[_Union[_media_pb2.ImageFormat, str]] = ..., width_px: _Optional[int] = ..., height_px: _Optional[int] = ..., sharpness: _Optional[float] = ..., blockiness: _Optional[float] = ..., lettering_coverage: _Optional[float] = ..., findings: _Optional[_Iterable[_Union[PictureFinding, _Mapping]]] = ...) -> None: ...

class PictureFinding(_message.Message):
    __slots__ = ("code", "severity", "message", "suggestion", "boxes")
    CODE_FIELD_NUMBER: _ClassVar[int]
    SEVERITY_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    SUGGESTION_FIELD_NUMBER: _ClassVar[int]
    BOXES_FIELD_NUMBER: _ClassVar[int]
    code: str
    severity: _prompt_report_pb2.FindingSeverity
    message: str
    suggestion: str
    boxes: _containers.RepeatedCompositeFieldContainer[_media_pb2.Box]
    def __init__(self, code: _Optional[str] = ..., severity: _Optional[_Union[_prompt_report_pb2.FindingSeverity, str]] = ..., message: _Optional[str] = ..., suggestion: _Optional[str] = ..., boxes: _Optional[_Iterable[_Union[_media_pb2.Box, _Mapping]]] = ...) -> None: ...
