"""Client of Stillcue: one picture and one sentence become streamed video.

>>> with stillcue.Client("localhost:50051") as client:
...     for event in client.generate("harbour.png", "A boat leaves the harbour, gulls rise, fog lifts."):
...         print(event)

``import stillcue`` is fast: gRPC is imported when a client class is first accessed.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stillcue.aio import AsyncClient, AsyncEventStream
    from stillcue.client import Client, EventStream
    from stillcue.request import GenerateOptions, ScoreOptions

from stillcue.attempts import AttemptFrames, AttemptResult, Attempts, AttemptsEnd
from stillcue.capabilities import (
    AttemptSupport,
    Capabilities,
    ChainSupport,
    Geometry,
    Limits,
    MemoryPlan,
    Model,
    ModelFamily,
    SamplingDefaults,
    StageMemory,
)
from stillcue.diagnosis import ClipMetrics, Diagnosis, DiagnosisOutcome, Remedy, RemedyKind, Symptom, SymptomKind
from stillcue.errors import (
    AccessDenied,
    Cancelled,
    DeadlineExceeded,
    ErrorDetails,
    FailedPrecondition,
    InvalidRequest,
    MatchRefused,
    OutOfMemory,
    Overloaded,
    ReaderTooSlow,
    ResumeFailed,
    ServerError,
    StillcueError,
    Unavailable,
    Unsupported,
    Violation,
)
from stillcue.events import (
    Accepted,
    Box,
    DenoiseProgress,
    Estimate,
    Event,
    Expert,
    Frame,
    FrameEncoding,
    FrameMatch,
    MatchBasis,
    MatchMode,
    MatchReport,
    MatchVerdict,
    PictureFit,
    Preview,
    QueueUpdate,
    Settings,
    Stage,
    StageStarted,
    Summary,
    VideoChunk,
    VideoCodec,
    VideoContainer,
)
from stillcue.match import (
    ClauseKind,
    ClauseScore,
    CropProposal,
    FindingSeverity,
    Grounding,
    MissingNoun,
    PictureFinding,
    PictureReport,
    PromptFinding,
    PromptReport,
    SuccessBasis,
    SuccessEstimate,
    SuccessFactor,
    TextSpan,
)
from stillcue.reuse import StepReuse, StepWork
from stillcue.segments import (
    ChainDrift,
    ChainStop,
    Seam,
    Segment,
    SegmentResult,
    SegmentSettings,
    SegmentStarted,
)

__version__ = "0.1.0"
__all__ = [
    "Accepted",
    "AccessDenied",
    "AsyncClient",
    "AsyncEventStream",
    "AttemptFrames",
    "AttemptResult",
    "AttemptSupport",
    "Attempts",
    "AttemptsEnd",
    "Box",
    "Cancelled",
    "Capabilities",
    "ChainDrift",
    "ChainStop",
    "ChainSupport",
    "ClauseKind",
    "ClauseScore",
    "Client",
    "ClipMetrics",
    "CropProposal",
    "DeadlineExceeded",
    "DenoiseProgress",
    "Diagnosis",
    "DiagnosisOutcome",
    "ErrorDetails",
    "Estimate",
    "Event",
    "EventStream",
    "Expert",
    "FailedPrecondition",
    "FindingSeverity",
    "Frame",
    "FrameEncoding",
    "FrameMatch",
    "GenerateOptions",
    "Geometry",
    "Grounding",
    "InvalidRequest",
    "Limits",
    "MatchBasis",
    "MatchMode",
    "MatchRefused",
    "MatchReport",
    "MatchVerdict",
    "MemoryPlan",
    "MissingNoun",
    "Model",
    "ModelFamily",
    "OutOfMemory",
    "Overloaded",
    "PictureFinding",
    "PictureFit",
    "PictureReport",
    "Preview",
    "PromptFinding",
    "PromptReport",
    "QueueUpdate",
    "ReaderTooSlow",
    "Remedy",
    "RemedyKind",
    "ResumeFailed",
    "SamplingDefaults",
    "ScoreOptions",
    "Seam",
    "Segment",
    "SegmentResult",
    "SegmentSettings",
    "SegmentStarted",
    "ServerError",
    "Settings",
    "Stage",
    "StageMemory",
    "StageStarted",
    "StepReuse",
    "StepWork",
    "StillcueError",
    "SuccessBasis",
    "SuccessEstimate",
    "SuccessFactor",
    "Summary",
    "Symptom",
    "SymptomKind",
    "TextSpan",
    "Unavailable",
    "Unsupported",
    "VideoChunk",
    "VideoCodec",
    "VideoContainer",
    "Violation",
]

_MODULE_BY_LAZY_NAME = {
    "AsyncClient": "stillcue.aio",
    "AsyncEventStream": "stillcue.aio",
    "Client": "stillcue.client",
    "EventStream": "stillcue.client",
    "GenerateOptions": "stillcue.request",
    "ScoreOptions": "stillcue.request",
}


if not TYPE_CHECKING:  # hidden from type checkers, which use the imports above and so report misspelt names

    def __getattr__(name: str) -> object:
        module = _MODULE_BY_LAZY_NAME.get(name)
        if module is None:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module(module), name)


def __dir__() -> list[str]:
    return __all__
