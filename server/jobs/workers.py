"""The engine and the threads that work for jobs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from engine.api.engine import Engine
    from server.runtime.engine_thread import EngineThread
    from server.runtime.pools import BoundedPool


@dataclass(frozen=True, slots=True)
class JobWorkers:
    """``engine_thread`` runs one job at a time, ``preparers`` check requests, ``compressors`` encode pictures.

    ``max_buffered_bytes`` limits the messages that one job holds in memory.
    """

    engine: Engine
    engine_thread: EngineThread
    preparers: BoundedPool
    compressors: Executor
    max_buffered_bytes: int

    def close(self) -> None:
        """Drops the work that waits for a thread; the engine is closed on its own thread."""
        self.preparers.close()
        self.compressors.shutdown(wait=False, cancel_futures=True)
