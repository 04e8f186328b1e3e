"""Everything that can go wrong in the engine, as one tree.

::

    EngineError
    ├── InvalidJob        the job itself is wrong: name the fields, mend them, send again
    ├── NotCompiled       the job is fine but this bundle was not compiled for it
    ├── MatchRefused      the match score is below what the caller required
    ├── ScorerMissing     the bundle holds no scorer
    ├── Cancelled         the caller or the server asked to stop
    ├── OutOfMemory       the device could not hold the job
    ├── GraphFailed       a graph call failed: the engine's fault, not the caller's
    ├── EngineLost        the process of the engine ended under the job
    │   └── EngineHung    it was ended, because a graph call took longer than it may
    ├── EngineRestarting  the process of the engine starts again
    └── BundleInvalid     the bundle on disk is missing, damaged or of another version (start-up only)
        ├── DoesNotFit    no compiled size and length keeps within the memory budget
        └── DeviceUnavailable  no card, no driver, or no library that drives it

Each message is meant for the person who made the request: it names the fault and the remedy, and holds no path,
no stack trace and no prompt. ``BundleInvalid`` alone is read by operators and does name files.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from engine.api.match_report import MatchReport


@dataclass(frozen=True, slots=True)
class Violation:
    """One wrong field of a job.

    ``field`` is the field's path as the caller wrote it, for example ``video.frame_count``; ``description`` says
    what is wrong with the value and what to do.
    """

    field: str
    description: str


class EngineError(Exception):
    """Base of every error that the engine raises on purpose."""


class InvalidJob(EngineError):
    """The job is wrong in one or more fields."""

    def __init__(self, *violations: Violation) -> None:
        self.violations = violations
        super().__init__("; ".join(f"{item.field}: {item.description}" for item in violations))


class NotCompiled(EngineError):
    """The job asks for a size or length that the bundle does not hold."""

    def __init__(self, violation: Violation) -> None:
        self.violation = violation
        super().__init__(f"{violation.field}: {violation.description}")


class MatchRefused(EngineError):
    """Picture and sentence match less than the caller required. ``report`` says how, scores are 0..100."""

    def __init__(self, report: MatchReport, minimum_score: float) -> None:
        self.report = report
        self.score = report.score
        self.minimum_score = minimum_score
        super().__init__(
            f"the picture and the sentence match with score {self.score:.0f}, below the required {minimum_score:.0f}; "
            "describe what the picture shows, or send match.mode REPORT to generate all the same"
        )


class ScorerMissing(EngineError):
    """Something was asked for that needs a scorer, and the bundle holds none. ``field`` asked for it."""

    def __init__(self, field: str = "match.mode", otherwise: str = "OFF") -> None:
        self.field = field
        super().__init__(f"this bundle holds no scorer; export it with --scorer, or send {field} {otherwise}")


class Cancelled(EngineError):
    """The work was stopped before its end."""


class OutOfMemory(EngineError):
    """The device ran out of memory."""


class GraphFailed(EngineError):
    """A graph call failed; details are in the server's log."""


class EngineLost(EngineError):
    """The process of the engine ended under the job. ``retry_seconds``: when another one is likely to be ready."""

    def __init__(self, retry_seconds: float) -> None:
        self.retry_seconds = retry_seconds
        super().__init__("the engine's process ended and this job with it; it starts again, send the job again")


class EngineHung(EngineLost):
    """The process of the engine was ended, because a graph call took longer than it may."""

    def __init__(self, max_step_seconds: float, retry_seconds: float) -> None:
        super().__init__(retry_seconds)
        self.args = (
            f"the engine was stopped, because one step took longer than {max_step_seconds:g} s; it starts again, "
            "send the job again or ask for a smaller size",
        )


class EngineRestarting(EngineError):
    """The process of the engine starts again after a fault. ``retry_seconds``: when it is likely to be ready."""

    def __init__(self, retry_seconds: float) -> None:
        self.retry_seconds = retry_seconds
        super().__init__("the engine starts again after a fault; try again shortly, or on another server")


class BundleInvalid(EngineError):
    """The bundle cannot be served."""


class DoesNotFit(BundleInvalid):
    """No compiled size and length keeps within the memory budget; the message names what would."""


class DeviceUnavailable(BundleInvalid):
    """The machine has no card that the bundle can be served on; the message says what is missing."""
