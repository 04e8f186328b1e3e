"""Follows the worker process for callers and operators: counts losses, and has new jobs refused meanwhile."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from engine.api.errors import EngineRestarting

if TYPE_CHECKING:
    from collections.abc import Callable

    from engine.api.engine import LossReason, Supervision
    from server.observability.metrics import Metrics


class EngineWatch:
    """Calls ``set_running`` in the event loop: with None when the engine runs, else with the refusal of new jobs."""

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
        """No engine process runs. Called on the supervisor's thread."""
        self._metrics.worker_restarts.labels(reason.value).inc()
        self._tell(self._refusal)

    def ready(self, down_seconds: float) -> None:
        """The next engine process runs. Called on the supervisor's thread."""
        self._metrics.worker_down_seconds.observe(down_seconds)
        self._tell(None)

    def _tell(self, refusal: Callable[[], Exception] | None) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._set_running, refusal)

    def _refusal(self) -> EngineRestarting:
        return EngineRestarting(self._supervision.retry_seconds)
