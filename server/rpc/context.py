"""What a server needs to answer calls once its engine is open. Knows who works where; does not know gRPC."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from server.jobs.estimates import Estimates
from server.jobs.queue import Admission
from server.jobs.registry import Replays
from server.runtime.pools import BoundedPool

if TYPE_CHECKING:
    from engine.api.capabilities import Capabilities
    from engine.api.engine import Engine
    from server.observability.metrics import Metrics
    from server.runtime.engine_thread import EngineThread
    from server.settings import Settings

_PREPARE_THREAD_COUNT = 2
_SCORE_THREAD_COUNT = 2
_ENCODE_THREAD_COUNT = 2
_WAITING_CAPACITY = 32


@dataclass(frozen=True, slots=True)
class Serving:
    """An open engine, the thread that drives it, and everything that keeps that thread free for it."""

    engine: Engine
    capabilities: Capabilities
    admission: Admission
    estimates: Estimates
    engine_thread: EngineThread
    preparers: BoundedPool
    scorers: BoundedPool
    encoders: ThreadPoolExecutor
    replays: Replays
    max_buffered_bytes: int

    @classmethod
    def build(cls, engine: Engine, engine_thread: EngineThread, settings: Settings, metrics: Metrics) -> Serving:
        """Puts an open engine to work."""
        metrics.queue_capacity_jobs.set(settings.queue_capacity)
        capabilities = engine.capabilities()
        return cls(
            engine=engine,
            capabilities=capabilities,
            estimates=Estimates(capabilities),
            admission=Admission(settings.queue_capacity, metrics.queue_jobs.set),
            engine_thread=engine_thread,
            preparers=BoundedPool("prepare", _PREPARE_THREAD_COUNT, _WAITING_CAPACITY + settings.queue_capacity),
            scorers=BoundedPool("score", _SCORE_THREAD_COUNT, _WAITING_CAPACITY),
            encoders=ThreadPoolExecutor(_ENCODE_THREAD_COUNT, thread_name_prefix="encode"),
            replays=Replays(settings.max_resume_bytes, metrics),
            max_buffered_bytes=settings.max_buffered_bytes,
        )

    def close(self) -> None:
        """Drops work that waits for a thread; the engine itself is closed on its own thread."""
        self.preparers.close()
        self.scorers.close()
        self.encoders.shutdown(wait=False, cancel_futures=True)
