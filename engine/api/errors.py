"""The errors of the engine, as one tree.

::

    EngineError
    ├── InvalidJob        one or more fields of the job are wrong
    ├── NotCompiled       the bundle was not compiled for the job's size or length
    ├── MatchRefused      the match score is below the minimum that the job requires
    ├── ScorerMissing     the job needs a scorer, and the bundle holds none
    ├── Cancelled         the job was cancelled
    ├── OutOfMemory       the device ran out of memory
    ├── GraphFailed       a graph call failed
    ├── NonFiniteValues   a part of the model computed NaN or infinity
    ├── VideoFailed       the encoder of the video file failed
    ├── EngineLost        the worker process ended during the job
    │   ├── EngineHung    the worker was killed because one graph call took too long
    │   └── DeviceLost    the GPU failed so that its process can use it no more
    ├── EngineRestarting  the worker process is being restarted
    └── BundleInvalid     the bundle is missing, damaged or of another version (raised on opening only)
        ├── DoesNotFit         no compiled size and length fits the memory budget
        ├── DeviceUnavailable  no GPU, no driver, or no library that drives the GPU
        └── NoSharedMemory     the system has too little shared memory for a worker process

Messages name the fault and what to do about it. They hold no path, no stack trace and no prompt; only
``BundleInvalid``, which operators read, names files. Fields are named by ``Field``, not by a path of a request format.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from engine.api.fields import Field

if TYPE_CHECKING:
    from engine.api.events import Expert, Stage
    from engine.api.match_report import MatchReport


@dataclass(frozen=True, slots=True)
class Violation:
    """One wrong field of a job. ``description`` continues the field's name: what is wrong, and what to do.

    ``segment`` is the index of the segment whose field it is, from 0; None for the fields of the job.
    """

    field: Field
    description: str
    segment: int | None = None

    def __str__(self) -> str:
        return f"{self.field.value}: {self.description}"


class EngineError(Exception):
    """Base of every error that the engine raises on purpose."""


class InvalidJob(EngineError):
    """One or more fields of the job are wrong; ``violations`` names each of them."""

    def __init__(self, *violations: Violation) -> None:
        self.violations = violations
        super().__init__("; ".join(map(str, violations)))


class NotCompiled(EngineError):
    """The bundle was not compiled for the size or length that the job asks for."""

    def __init__(self, violation: Violation) -> None:
        self.violation = violation
        super().__init__(str(violation))


class MatchRefused(EngineError):
    """Picture and prompt match less than the job requires. Scores are 0..100; ``report`` explains the score."""

    def __init__(self, report: MatchReport, minimum_score: float) -> None:
        self.report = report
        self.score = report.score
        self.minimum_score = minimum_score
        super().__init__(
            f"picture and prompt match with score {self.score:.0f}, below the required {minimum_score:.0f}; "
            "describe what the picture shows"
        )


class ScorerMissing(EngineError):
    """The job needs a scorer, and the bundle holds none. ``field`` is the field that needs it."""

    def __init__(self, field: Field) -> None:
        self.field = field
        super().__init__("this bundle holds no scorer; export it with --scorer")


class Cancelled(EngineError):
    """The job was cancelled before its end."""


class OutOfMemory(EngineError):
    """The device ran out of memory."""


class GraphFailed(EngineError):
    """A graph call failed. The message may hold internals of the runtime: it belongs in the log."""


class NonFiniteValues(EngineError):
    """A part of the model computed NaN or infinity, and would again; ``message`` names the remedy.

    ``precision`` is that of the graph in the manifest. ``expert`` is None and ``step``, from 1, of ``step_count`` 0
    outside denoising.
    """

    def __init__(
        self,
        message: str,
        stage: Stage,
        precision: str,
        *,
        expert: Expert | None = None,
        step: int = 0,
        step_count: int = 0,
    ) -> None:
        self.stage = stage
        self.expert = expert
        self.step = step
        self.step_count = step_count
        self.precision = precision
        super().__init__(message)


class VideoFailed(EngineError):
    """The encoder of a clip's video file failed or did not open. The message may hold internals of FFmpeg."""


class EngineLost(EngineError):
    """The worker process ended during the job. ``retry_seconds`` estimates when the next one is ready."""

    def __init__(self, retry_seconds: float) -> None:
        self.retry_seconds = retry_seconds
        super().__init__(
            "the worker process of the engine ended during this job and is being restarted; send the job again"
        )


class EngineHung(EngineLost):
    """The worker process was killed because one graph call took longer than ``max_step_seconds``."""

    def __init__(self, max_step_seconds: float, retry_seconds: float) -> None:
        super().__init__(retry_seconds)
        self.args = (
            f"one step took longer than {max_step_seconds:g} s, so the engine is being restarted; send the job again, "
            "or ask for a smaller size",
        )


class DeviceLost(EngineLost):
    """The GPU failed in a way that lasts as long as the process: a wrong address, an ECC error, a GPU off the bus.

    Every later call of the process fails too, so only its end helps. ``cause`` is CUDA's or the library's text: it
    belongs in the log. ``retry_seconds`` 0: the engine works in the caller's process, which nobody restarts.
    """

    def __init__(self, cause: str, retry_seconds: float = 0.0) -> None:
        super().__init__(retry_seconds)
        self.cause = cause
        self.add_note(cause)  # tracebacks end with it
        self.args = ("the GPU failed, so the engine must be restarted; send the job again, or to another server",)


class EngineRestarting(EngineError):
    """The worker process is being restarted. ``retry_seconds`` estimates when it is ready."""

    def __init__(self, retry_seconds: float) -> None:
        self.retry_seconds = retry_seconds
        super().__init__("the engine is being restarted after a fault; try again shortly, or on another server")


class BundleInvalid(EngineError):
    """The bundle cannot be served."""


class DoesNotFit(BundleInvalid):
    """No compiled size and length fits the memory budget; the message names what would."""


class DeviceUnavailable(BundleInvalid):
    """No GPU of this machine can serve the bundle; the message says what is missing."""


class NoSharedMemory(BundleInvalid):
    """The system has too little shared memory for the pictures that pass between server and worker process."""
