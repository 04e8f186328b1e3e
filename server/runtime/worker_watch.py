"""What the loss of the engine's process means to callers and operators. Knows the event loop; restarts nothing."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from engine.api.errors import EngineRestarting

if TYPE_CHECKING:
    from collections.abc import Callable

    from engine.api.engine import LossReason, Supervision
    from server.observability.metrics import Metrics


class WorkerWatch:
    """Counts losses, and tells the event loop: ``set_running(None)`` when the engine runs, else what to refuse with."""

    def __init__(
        self,
        supervision: Supervision,
        metrics: Metrics,
        set_running: Callable[[Callable[[], Exception] | None], None],
    ) -> None:
        self._supervision = supervision
        self._metrics = metrics
        self._set_running = set_running
        self._loop = asyncio.get_running_loop()
        metrics.watch_worker(supervision.resident_bytes)
        supervision.watch(self)

    def lost(self, reason: LossReason) -> None:
        """No process runs. On the supervisor's thread."""
        self._metrics.worker_restarts.labels(reason.value).inc()
        self._tell(self._refusal)

    def ready(self, down_seconds: float) -> None:
        """The next process runs. On the supervisor's thread."""
        self._metrics.worker_down_seconds.observe(down_seconds)
        self._tell(None)

    def _tell(self, hindrance: Callable[[], Exception] | None) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._set_running, hindrance)

    def _refusal(self) -> EngineRestarting:
        return EngineRestarting(self._supervision.retry_seconds)
