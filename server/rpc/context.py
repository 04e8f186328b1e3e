"""What the servicer needs once the engine is open: engine, job service and thread pools."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from server import __version__
from server.jobs.estimates import Estimates
from server.jobs.queue import JobQueue
from server.jobs.registry import JobRegistry
from server.jobs.replica import Replica
from server.jobs.service import JobService
from server.jobs.workers import JobWorkers
from server.runtime.pools import BoundedPool

if TYPE_CHECKING:
    from engine.api.capabilities import Capabilities
    from engine.api.engine import Engine
    from engine.api.video import VideoSupport
    from server.observability.metrics import Metrics
    from server.runtime.engine_thread import EngineThread
    from server.security.quotas import Quotas
    from server.settings import Settings

_PREPARE_THREAD_COUNT = 2
_SCORE_THREAD_COUNT = 2
_COMPRESS_THREAD_COUNT = 2
_WAITING_CAPACITY = 32


@dataclass(frozen=True, slots=True)
class ServerContext:
    """An open engine and the parts that work with it."""

    engine: Engine
    capabilities: Capabilities
    jobs: JobService
    scorers: BoundedPool
    video_support: VideoSupport

    @classmethod
    def build(
        cls,
        engine: Engine,
        engine_thread: EngineThread,
        settings: Settings,
        metrics: Metrics,
        quotas: Quotas,
        *,
        video_support: VideoSupport,
    ) -> ServerContext:
        """Puts the parts together around an open engine."""
        metrics.queue_capacity_jobs.set(settings.queue_capacity)
        capabilities = engine.capabilities()
        workers = JobWorkers(
            engine,
            engine_thread,
            preparers=BoundedPool("prepare", _PREPARE_THREAD_COUNT, _WAITING_CAPACITY + settings.queue_capacity),
            compressors=ThreadPoolExecutor(_COMPRESS_THREAD_COUNT, thread_name_prefix="compress"),
            max_buffered_bytes=settings.max_buffered_bytes,
        )
        jobs = JobService(
            workers,
            queue=JobQueue(settings.queue_capacity, metrics.queue_jobs.set),
            registry=JobRegistry(settings.max_resume_bytes, metrics.replay_bytes.set),
            estimates=Estimates(capabilities),
            quotas=quotas,
            replica=Replica.of(settings.replica, capabilities, __version__),
        )
        scorers = BoundedPool("score", _SCORE_THREAD_COUNT, _WAITING_CAPACITY)
        return cls(engine, capabilities, jobs, scorers, video_support)

    def close(self) -> None:
        """Drops the work that waits for a thread. The engine itself is closed on its own thread."""
        self.jobs.workers.close()
        self.scorers.close()
