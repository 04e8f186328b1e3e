"""What server and worker say to each other. Plain frozen data; each answer carries the number of its call."""

from __future__ import annotations

import traceback
from dataclasses import dataclass
from typing import Any

from engine.api.capabilities import Capabilities
from engine.api.errors import EngineError, GraphFailed, OutOfMemory
from engine.api.events import Event
from engine.api.job import ClipPlan, PreparedJob
from engine.api.match_report import MatchReport
from engine.api.media import Image
from engine.worker.arena import Layout


class WorkerTraceback(Exception):
    """The traceback of an error as the worker saw it; only ever a cause, for the log."""


@dataclass(frozen=True, slots=True)
class Failure:
    """An error that crosses: its class and content, since classes with arguments of their own cannot be pickled."""

    kind: type[BaseException]
    arguments: tuple[Any, ...]
    attributes: dict[str, Any]
    trace: str

    @classmethod
    def of(cls, error: BaseException) -> Failure:
        """Errors that the engine did not raise on purpose cross as ``GraphFailed``, without memory as such."""
        trace = "".join(traceback.format_exception(error))
        if isinstance(error, MemoryError):
            return cls(OutOfMemory, ("the process has no memory left",), {}, trace)
        if isinstance(error, EngineError):
            return cls(type(error), error.args, dict(error.__dict__), trace)
        return cls(GraphFailed, (f"{type(error).__name__}: {error}",), {}, trace)

    def error(self) -> BaseException:
        """The error again, caused by its traceback in the worker."""
        error = self.kind.__new__(self.kind, *self.arguments)
        error.__dict__.update(self.attributes)
        error.__cause__ = WorkerTraceback(f"\n{self.trace}")
        return error


@dataclass(frozen=True, slots=True)
class Opened:
    """The engine is open."""

    capabilities: Capabilities


@dataclass(frozen=True, slots=True)
class OpenFailed:
    """The engine cannot be opened; the worker ends."""

    failure: Failure


@dataclass(frozen=True, slots=True)
class Attach:
    """The memory to map; from its answer on, messages go through a ``Channel``."""

    name: str
    layout: Layout


@dataclass(frozen=True, slots=True)
class Generate:
    """Generate a clip: any number of ``Happened``, then ``Done`` or ``Failed``."""

    number: int
    job: PreparedJob


@dataclass(frozen=True, slots=True)
class Score:
    """Score a pair: ``Done`` or ``Failed``."""

    number: int
    image: Image
    prompt: str
    plan: ClipPlan


@dataclass(frozen=True, slots=True)
class Close:
    """Close the engine and end."""


@dataclass(frozen=True, slots=True)
class Happened:
    """An event of a job."""

    number: int
    event: Event


@dataclass(frozen=True, slots=True)
class Done:
    """A call is over."""

    number: int
    report: MatchReport | None = None


@dataclass(frozen=True, slots=True)
class Failed:
    """A call is over, by an error."""

    number: int
    failure: Failure
