"""Messages between server and worker. Every answer carries the number of its call."""

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
    """The traceback of an error in the worker; the cause of the error that the server raises."""


SCORE_THREAD_COUNT = 2  # scores that a worker computes at the same time


@dataclass(frozen=True, slots=True)
class Failure:
    """An error of the worker as class and content, because exceptions with arguments of their own cannot be pickled."""

    kind: type[BaseException]
    arguments: tuple[Any, ...]
    attributes: dict[str, Any]
    trace: str

    @classmethod
    def of(cls, error: BaseException) -> Failure:
        """The failure of an error.

        Errors that the engine did not raise on purpose become ``GraphFailed`` or ``OutOfMemory``.
        """
        trace = "".join(traceback.format_exception(error))
        if isinstance(error, MemoryError):
            return cls(OutOfMemory, ("the process has no memory left",), {}, trace)
        if isinstance(error, EngineError):
            return cls(type(error), error.args, dict(error.__dict__), trace)
        return cls(GraphFailed, (f"{type(error).__name__}: {error}",), {}, trace)

    def error(self) -> BaseException:
        """The error again, with its traceback in the worker as cause."""
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
    """The engine could not be opened; the worker ends."""

    failure: Failure


@dataclass(frozen=True, slots=True)
class Attach:
    """The shared memory to map. After its answer, messages go through a ``Channel``."""

    name: str
    layout: Layout


@dataclass(frozen=True, slots=True)
class Generate:
    """Asks for a clip. Answers: any number of ``Happened``, then ``Done`` or ``Failed``."""

    number: int
    job: PreparedJob


@dataclass(frozen=True, slots=True)
class Score:
    """Asks for a score. Answer: ``Done`` or ``Failed``."""

    number: int
    image: Image
    prompt: str
    plan: ClipPlan


@dataclass(frozen=True, slots=True)
class Close:
    """Asks the worker to close the engine and end."""


@dataclass(frozen=True, slots=True)
class Happened:
    """An event of a job."""

    number: int
    event: Event


@dataclass(frozen=True, slots=True)
class Done:
    """The call succeeded; ``report`` is the result of a score."""

    number: int
    report: MatchReport | None = None


@dataclass(frozen=True, slots=True)
class Failed:
    """The call failed."""

    number: int
    failure: Failure
