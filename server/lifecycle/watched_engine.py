"""An engine in the server's own process that may lose its GPU.

Nobody can restart such an engine, so the server says NOT_SERVING until it is restarted itself.
"""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from typing import TYPE_CHECKING

from engine.api.errors import DeviceLost
from engine.api.job import ClipPlan

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from engine.api.cancellation import CancelFlag
    from engine.api.capabilities import Capabilities
    from engine.api.engine import Engine
    from engine.api.events import Event
    from engine.api.job import Job, PreparedJob
    from engine.api.match_report import MatchReport
    from engine.api.media import Image


class WatchedEngine:
    """Passes every call on. Calls ``set_running`` in the event loop with the refusal of new jobs once the GPU is lost.

    Implements ``engine.api.engine.Engine``.
    """

    def __init__(self, engine: Engine, set_running: Callable[[Callable[[], Exception] | None], None]) -> None:
        self._engine = engine
        self._set_running = set_running
        self._loop = asyncio.get_running_loop()

    def capabilities(self) -> Capabilities:
        """See ``Engine.capabilities``."""
        return self._engine.capabilities()

    def prepare(self, job: Job) -> PreparedJob:
        """See ``Engine.prepare``."""
        with self._watch():
            return self._engine.prepare(job)

    def generate(self, job: PreparedJob, cancel: CancelFlag) -> Iterator[Event]:
        """See ``Engine.generate``."""
        with self._watch():
            yield from self._engine.generate(job, cancel)

    def score_match(self, image: Image, prompt: str, plan: ClipPlan = ClipPlan()) -> MatchReport:
        """See ``Engine.score_match``."""
        with self._watch():
            return self._engine.score_match(image, prompt, plan)

    def supervision(self) -> None:
        """The engine works in this process."""

    def close(self) -> None:
        """See ``Engine.close``."""
        self._engine.close()

    @contextmanager
    def _watch(self) -> Iterator[None]:
        try:
            yield
        except DeviceLost as lost:
            cause = lost.cause
            if not self._loop.is_closed():
                self._loop.call_soon_threadsafe(self._set_running, lambda: DeviceLost(cause))
            raise
