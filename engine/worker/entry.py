"""The function that a worker process starts with. Imports the code of the worker in the worker, for a quick launch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from multiprocessing.connection import Connection

    from engine.api.engine import Engine


def run_worker(
    open_engine: Callable[[], Engine],
    set_up: Callable[[], None],
    connection: Connection[Any, Any],
    slots_returned: Connection[Any, Any],
    slots_to_return: Connection[Any, Any],
) -> None:
    """Runs a worker from start to end. The target of ``multiprocessing.Process``."""
    from engine.worker.child import work

    work(open_engine, set_up, connection, slots_returned, slots_to_return)
