"""Client of Stillcue: one picture and one sentence become streamed video.

>>> with stillcue.Client("localhost:50051") as client:
...     for event in client.generate("harbour.png", "A boat leaves the harbour, gulls rise, fog lifts."):
...         print(event)

``import stillcue`` is cheap: gRPC is loaded when a client is first named.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stillcue.aio import AsyncClient, AsyncEventStream
    from stillcue.client import Client, EventStream
    from stillcue.request import GenerateOptions

from stillcue.capabilities import (
    Capabilities,
    Geometry,
    Limits,
    MemoryPlan,
    Model,
    ModelFamily,
    SamplingDefaults,
    StageMemory,
)
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
    MatchBasis,
    MatchMode,
    MatchReport,
    MatchVerdict,
    Preview,
    QueueUpdate,
    Settings,
    Stage,
    StageStarted,
    Summary,
)

__version__ = "0.1.0"
__all__ = [
    "Accepted",
    "AccessDenied",
    "AsyncClient",
    "AsyncEventStream",
    "Box",
    "Cancelled",
    "Capabilities",
    "Client",
    "DeadlineExceeded",
    "DenoiseProgress",
    "ErrorDetails",
    "Estimate",
    "Event",
    "EventStream",
    "Expert",
    "FailedPrecondition",
    "Frame",
    "FrameEncoding",
    "GenerateOptions",
    "Geometry",
    "InvalidRequest",
    "Limits",
    "MatchBasis",
    "MatchMode",
    "MatchRefused",
    "MatchReport",
    "MatchVerdict",
    "MemoryPlan",
    "Model",
    "ModelFamily",
    "OutOfMemory",
    "Overloaded",
    "Preview",
    "QueueUpdate",
    "ReaderTooSlow",
    "SamplingDefaults",
    "ServerError",
    "Settings",
    "Stage",
    "StageMemory",
    "StageStarted",
    "StillcueError",
    "Summary",
    "Unavailable",
    "Unsupported",
    "Violation",
]

_MODULE_BY_LAZY_NAME = {
    "AsyncClient": "stillcue.aio",
    "AsyncEventStream": "stillcue.aio",
    "Client": "stillcue.client",
    "EventStream": "stillcue.client",
    "GenerateOptions": "stillcue.request",
}


if not TYPE_CHECKING:  # type checkers see the imports above, and so still find misspelt names

    def __getattr__(name: str) -> object:
        module = _MODULE_BY_LAZY_NAME.get(name)
        if module is None:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module(module), name)


def __dir__() -> list[str]:
    return __all__
