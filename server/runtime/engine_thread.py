"""The engine thread: opens the engine, runs one job at a time, and closes the engine.

The thread is a daemon: a graph call that never returns must not keep the process alive after its grace.
"""

from __future__ import annotations

from concurrent.futures import Future
from queue import SimpleQueue
from threading import Thread
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

_T = TypeVar("_T")


class EngineThread:
    """Runs functions one after the other, in the order of ``submit``."""

    def __init__(self) -> None:
        self._work: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._thread = Thread(target=self._run, name="engine", daemon=True)
        self._thread.start()

    def submit(self, function: Callable[[], _T]) -> Future[_T]:
        """Queues a function. Callbacks of the future run on the engine thread, right after the function."""
        future: Future[_T] = Future()

        def work() -> None:
            if not future.set_running_or_notify_cancel():
                return
            try:
                result = function()
            except BaseException as error:  # noqa: BLE001  the future hands it to whoever waits
                future.set_exception(error)
            else:
                future.set_result(result)

        self._work.put(work)
        return future

    def close(self, timeout_seconds: float) -> bool:
        """Ends the thread after the queued functions. Returns False where that takes longer than the timeout."""
        self._work.put(None)
        self._thread.join(timeout_seconds)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while (work := self._work.get()) is not None:
            work()
