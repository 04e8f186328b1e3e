"""Implements ``Engine`` with a worker process: prepares jobs here, and generates and scores in the worker."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Self

from engine.api.cancellation import CancelFlag
from engine.api.capabilities import Capabilities
from engine.api.engine import Engine, Supervision, WorkerListener
from engine.api.errors import DeviceLost
from engine.api.events import Event
from engine.api.job import ClipPlan, Job, PreparedJob
from engine.api.match_report import MatchReport
from engine.api.media import Image
from engine.api.settings import WorkerSettings
from engine.runtime.process_memory import resident_bytes
from engine.worker.launch import ProcessLost
from engine.worker.supervisor import Supervisor


class WorkerEngine:
    """Implements ``Engine`` and ``Supervision``. Constructing it starts the worker process; call ``open`` next.

    ``open_engine`` opens the engine in the worker; it must be picklable: a module function, or a partial of one. Jobs
    are prepared in the caller's process, so that a wrong job is refused even while no worker runs.
    """

    def __init__(self, open_engine: Callable[[], Engine], settings: WorkerSettings = WorkerSettings()) -> None:
        self._supervisor = Supervisor(open_engine, settings)

    def open(self) -> Self:
        """Waits until the worker has opened the engine. Raises what opening raises."""
        import engine.preparation.job  # noqa: F401  imported meanwhile, so that the first job does not wait for it

        self._supervisor.wait_until_open()
        return self

    def capabilities(self) -> Capabilities:
        """Capabilities of the first worker. A later worker that loads something else is not used."""
        return self._supervisor.capabilities

    def prepare(self, job: Job) -> PreparedJob:
        """See ``Engine.prepare``."""
        from engine.preparation.job import prepare_job

        return prepare_job(job, self._supervisor.capabilities, self.score_match)

    def generate(self, job: PreparedJob, cancel: CancelFlag) -> Iterator[Event]:
        """See ``Engine.generate``. Waits for the next worker while none runs."""
        try:
            yield from self._supervisor.wait_for_process(cancel).generate(job, cancel)
        except ProcessLost as lost:
            raise self._supervisor.error_of(lost) from None
        except DeviceLost as lost:
            raise DeviceLost(lost.cause, self._supervisor.retry_seconds) from lost

    def score_match(self, image: Image, prompt: str, plan: ClipPlan = ClipPlan()) -> MatchReport:
        """See ``Engine.score_match``. Raises ``EngineRestarting`` while no worker runs."""
        try:
            return self._supervisor.process().score_match(image, prompt, plan)
        except ProcessLost as lost:
            raise self._supervisor.error_of(lost) from None
        except DeviceLost as lost:
            raise DeviceLost(lost.cause, self._supervisor.retry_seconds) from lost

    def supervision(self) -> Supervision:
        """Returns itself: ``watch``, ``kill``, ``resident_bytes`` and ``retry_seconds`` act on the worker."""
        return self

    def close(self) -> None:
        """See ``Engine.close``."""
        self._supervisor.close()

    def watch(self, listener: WorkerListener) -> None:
        """See ``Supervision.watch``."""
        self._supervisor.watch(listener)

    def kill(self) -> None:
        """See ``Supervision.kill``."""
        self._supervisor.kill()

    @property
    def retry_seconds(self) -> float:
        """See ``Supervision.retry_seconds``."""
        return self._supervisor.retry_seconds

    def resident_bytes(self) -> int:
        """See ``Supervision.resident_bytes``."""
        process_id = self._supervisor.process_id
        return 0 if process_id is None else resident_bytes(process_id)

    @property
    def process_id(self) -> int | None:
        """Process id of the worker; None while no worker runs."""
        return self._supervisor.process_id
