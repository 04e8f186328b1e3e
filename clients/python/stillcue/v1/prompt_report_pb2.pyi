from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class FindingSeverity(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    FINDING_SEVERITY_UNSPECIFIED: _ClassVar[FindingSeverity]
    FINDING_SEVERITY_INFO: _ClassVar[FindingSeverity]
    FINDING_SEVERITY_WARNING: _ClassVar[FindingSeverity]
    FINDING_SEVERITY_ERROR: _ClassVar[FindingSeverity]

class ClauseKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    CLAUSE_KIND_UNSPECIFIED: _ClassVar[ClauseKind]
    CLAUSE_KIND_SUBJECT: _ClassVar[ClauseKind]
    CLAUSE_KIND_ACTION: _ClassVar[ClauseKind]
    CLAUSE_KIND_ENVIRONMENT: _ClassVar[ClauseKind]
    CLAUSE_KIND_CAMERA: _ClassVar[ClauseKind]
    CLAUSE_KIND_STYLE: _ClassVar[ClauseKind]
FINDING_SEVERITY_UNSPECIFIED: FindingSeverity
FINDING_SEVERITY_INFO: FindingSeverity
FINDING_SEVERITY_WARNING: FindingSeverity
FINDING_SEVERITY_ERROR: FindingSeverity
CLAUSE_KIND_UNSPECIFIED: ClauseKind
CLAUSE_KIND_SUBJECT: ClauseKind
CLAUSE_KIND_ACTION: ClauseKind
CLAUSE_KIND_ENVIRONMENT: ClauseKind
CLAUSE_KIND_CAMERA: ClauseKind
CLAUSE_KIND_STYLE: ClauseKind

class PromptReport(_message.Message):
    __slots__ = ("language", "findings", "rewritten_prompt", "negative_prompt_additions")
    LANGUAGE_FIELD_NUMBER: _ClassVar[int]
    FINDINGS_FIELD_NUMBER: _ClassVar[int]
    REWRITTEN_PROMPT_FIELD_NUMBER: _ClassVar[int]
    NEGATIVE_PROMPT_ADDITIONS_FIELD_NUMBER: _ClassVar[int]
    language: str
    findings: _containers.RepeatedCompositeFieldContainer[PromptFinding]
    rewritten_prompt: str
    negative_prompt_additions: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, language: _Optional[str] = ..., findings: _Optional[_Iterable[_Union[PromptFinding, _Mapping]]] = ..., rewritten_prompt: _Optional[str] = ..., negative_prompt_additions: _Optional[_Iterable[str]] = ...) -> None: ...

class PromptFinding(_message.Message):
    __slots__ = ("code", "case_name", "severity", "field", "span", "message", "suggestion", "replacement")
    CODE_FIELD_NUMBER: _ClassVar[int]
    CASE_NAME_FIELD_NUMBER: _ClassVar[int]
    SEVERITY_FIELD_NUMBER: _ClassVar[int]
    FIELD_FIELD_NUMBER: _ClassVar[int]
    SPAN_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    SUGGESTION_FIELD_NUMBER: _ClassVar[int]
    REPLACEMENT_FIELD_NUMBER: _ClassVar[int]
    code: str
    case_name: str
    severity: FindingSeverity
    field: str
    span: TextSpan
    message: str
    suggestion: str
    replacement: str
    def __init__(self, code: _Optional[str] = ..., case_name: _Optional[str] = ..., severity: _Optional[_Union[FindingSeverity, str]] = ..., field: _Optional[str] = ..., span: _Optional[_Union[TextSpan, _Mapping]] = ..., message: _Optional[str] = ..., suggestion: _Optional[str] = ..., replacement: _Optional[str] = ...) -> None: ...

class TextSpan(_message.Message):
    __slots__ = ("start", "end")
    START_FIELD_NUMBER: _ClassVar[int]
    END_FIELD_NUMBER: _ClassVar[int]
    start: int
    end: int
    def __init__(self, start: _Optional[int] = ..., end: _Optional[int] = ...) -> None: ...
