"""Cancel in ComfyUI: ends the call that a node waits for, and then the run."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

from . import host

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

POLL_SECONDS = 0.005
_T = TypeVar("_T")


@contextmanager
def on_interrupt(cancel: Callable[[], None]) -> Iterator[None]:
    """Calls ``cancel`` once, from a thread of its own, as soon as ComfyUI is interrupted during the block.

    The block ends after ``cancel`` has returned.
    """
    is_over = threading.Event()

    def watch() -> None:
        while not is_over.wait(POLL_SECONDS):
            if host.is_interrupted():
                cancel()
                return

    watcher = threading.Thread(target=watch, name="stillcue-interrupt", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        is_over.set()
        watcher.join()


def interruptible(call: Callable[[], _T], cancel: Callable[[], None] = lambda: None) -> _T:
    """Returns what ``call`` returns, or raises what it raises.

    After Cancel calls ``cancel`` and raises ComfyUI's interrupt at once; ``call`` then ends in its own thread.
    """
    pool = ThreadPoolExecutor(1, thread_name_prefix="stillcue-call")
    try:
        future = pool.submit(call)
        while True:
            try:
                return future.result(POLL_SECONDS)
            except TimeoutError:
                if future.done():
                    raise
                if host.is_interrupted():
                    cancel()
                    host.raise_if_interrupted()
    finally:
        pool.shutdown(wait=False)
