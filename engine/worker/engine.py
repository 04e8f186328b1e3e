"""An engine that works in a process of its own, behind the same contract as any other. Knows who does what where."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from engine.api.cancellation import CancelFlag
from engine.api.types import Capabilities, ClipPlan, Engine, Event, Image, Job, MatchReport, PreparedJob
from engine.generate.preparation import prepare_job
from engine.runtime.process_memory import resident_bytes
from engine.worker.process import ProcessLost
from engine.worker.supervisor import Supervisor, WorkerSettings, WorkerWatcher


class WorkerEngine:
    """``open_engine`` opens the engine in the worker; it must be picklable: a function of a module, or a partial.

    Jobs are prepared here, so that a bad one is refused whatever the worker does; clips and scores are made there.
    Raises what opening the engine raises.
    """

    def __init__(self, open_engine: Callable[[], Engine], settings: WorkerSettings = WorkerSettings()) -> None:
        self._supervisor = Supervisor(open_engine, settings)

    def capabilities(self) -> Capabilities:
        """What the first worker loaded; one that loads something else later is not used."""
        return self._supervisor.capabilities

    def prepare(self, job: Job) -> PreparedJob:
        """See ``Engine.prepare``."""
        return prepare_job(job, self._supervisor.capabilities, self.score_match)

    def generate(self, job: PreparedJob, cancel: CancelFlag) -> Iterator[Event]:
        """See ``Engine.generate``. While no worker runs it waits for the next one."""
        try:
            yield from self._supervisor.wait_for_process(cancel).generate(job, cancel)
        except ProcessLost as lost:
            raise self._supervisor.error_of(lost) from None

    def score_match(self, image: Image, prompt: str, plan: ClipPlan = ClipPlan()) -> MatchReport:
        """See ``Engine.score_match``. Raises ``EngineRestarting`` while no worker runs."""
        try:
            return self._supervisor.process().score_match(image, prompt, plan)
        except ProcessLost as lost:
            raise self._supervisor.error_of(lost) from None

    def close(self) -> None:
        """See ``Engine.close``."""
        self._supervisor.close()

    def watch(self, watcher: WorkerWatcher) -> None:
        """Tells somebody when the worker is lost and when the next one is ready."""
        self._supervisor.watch(watcher)

    def kill(self) -> None:
        """Ends the worker now, whatever it does. Its running job fails, and no other worker is started."""
        self._supervisor.kill()

    @property
    def process_id(self) -> int | None:
        """Of the worker, while one runs."""
        return self._supervisor.process_id

    @property
    def retry_seconds(self) -> float:
        """How long it is likely to take until a lost worker is replaced."""
        return self._supervisor.retry_seconds

    def resident_bytes(self) -> int:
        """Memory of the host that the worker holds; 0 while none runs."""
        process_id = self._supervisor.process_id
        return 0 if process_id is None else resident_bytes(process_id)
