"""A Stillcue server with the fake engine, in a thread of its own, for tests that wait for ComfyUI."""

from __future__ import annotations

import asyncio
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.serving import PATIENCE_SECONDS, Served, served

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterator

    from engine.api.engine import Engine


@dataclass(frozen=True)
class ServerThread:
    """A running server; ``address`` is what the Stillcue Server node names."""

    served: Served
    loop: asyncio.AbstractEventLoop

    @property
    def address(self) -> str:
        return str(self.served.address)

    def do(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Runs a coroutine in the server's thread."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(PATIENCE_SECONDS)

    def reaches(self, sample: str, value: float) -> None:
        """Waits until a metric has a value."""
        self.do(self.served.reaches(sample, value))

    def sample(self, name: str) -> float:
        """Returns a metric."""
        return float(self.do(self.served.sample(name)))


@contextmanager
def serving(engine: Engine, **settings: Any) -> Iterator[ServerThread]:
    """Serves an engine on free ports, or on those of ``settings``, during the block."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    context = served(engine, **settings)
    try:
        running = asyncio.run_coroutine_threadsafe(context.__aenter__(), loop).result(PATIENCE_SECONDS)
        try:
            yield ServerThread(running, loop)
        finally:
            asyncio.run_coroutine_threadsafe(context.__aexit__(None, None, None), loop).result(PATIENCE_SECONDS)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(PATIENCE_SECONDS)
        loop.close()
