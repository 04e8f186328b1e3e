"""The ``Engine`` protocol, and ``Supervision`` of an engine that works in a process of its own."""

from __future__ import annotations

import enum
from collections.abc import Iterator
from typing import Protocol

from engine.api.cancellation import CancelFlag
from engine.api.capabilities import Capabilities
from engine.api.events import Event
from engine.api.job import ClipPlan, Job, PreparedJob
from engine.api.match_report import MatchReport
from engine.api.media import Image


class LossReason(enum.Enum):
    """Why a worker process ended before it was closed."""

    CRASHED = "crashed"
    HUNG = "hung"
    OUT_OF_MEMORY = "out_of_memory"
    DEVICE_LOST = "device_lost"


class WorkerListener(Protocol):
    """Callback interface for worker state changes. Methods run on the supervisor's thread and must not block."""

    def lost(self, reason: LossReason) -> None:
        """The worker process ended. Waiting jobs stay queued."""
        ...

    def ready(self, down_seconds: float) -> None:
        """A new worker process is ready, ``down_seconds`` after the previous one was lost."""
        ...


class Supervision(Protocol):
    """Control over the process of an engine that works in a process of its own. Safe to call from any thread."""

    @property
    def retry_seconds(self) -> float:
        """Estimated seconds until a lost worker is replaced."""
        ...

    def watch(self, listener: WorkerListener) -> None:
        """Registers a listener for every later change; an ongoing loss is reported at once."""
        ...

    def kill(self) -> None:
        """Ends the worker now. Its running job fails, and no other worker is started."""
        ...

    def resident_bytes(self) -> int:
        """Host memory that the worker holds; 0 while no worker runs."""
        ...


class Engine(Protocol):
    """An engine as its callers see it.

    ``prepare``, ``score_match``, ``capabilities`` and ``supervision`` may be called from any thread at any time.
    ``generate`` is called by one thread at a time; that thread also drives and closes the iterator.
    """

    def capabilities(self) -> Capabilities:
        """Properties of the loaded model. The answer never changes."""
        ...

    def prepare(self, job: Job) -> PreparedJob:
        """Checks a job, fills in its defaults and prepares its picture.

        Uses only the job and ``capabilities``, so it can run in another process than ``generate``; only
        ``PictureFit.CROP_SUBJECT`` calls ``score_match``. Raises ``InvalidJob``, ``NotCompiled`` or ``ScorerMissing``.
        """
        ...

    def generate(self, job: PreparedJob, cancel: CancelFlag) -> Iterator[Event]:
        """Generates a clip, event by event; the last one is ``JobDone``.

        Raises ``Cancelled`` before the next graph call once ``cancel`` is set, ``MatchRefused``, ``OutOfMemory``,
        ``NonFiniteValues``, ``DeviceLost`` or ``GraphFailed``; an engine in a process of its own also ``EngineLost`` or
        ``EngineRestarting``. Closing the iterator early leaves the engine ready for the next job.
        """
        ...

    def score_match(self, image: Image, prompt: str, plan: ClipPlan = ClipPlan()) -> MatchReport:
        """Scores a picture against a sentence, and reports on both and on ``plan``.

        Raises ``InvalidJob``, ``NotCompiled``, ``ScorerMissing`` or ``NonFiniteValues``.
        """
        ...

    def supervision(self) -> Supervision | None:
        """Control over the engine's own process; None for an engine that works in the caller's process."""
        ...

    def close(self) -> None:
        """Frees memory and threads. The engine cannot be used afterwards."""
        ...
