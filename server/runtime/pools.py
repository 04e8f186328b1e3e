"""Thread pools with a bounded queue."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from threading import BoundedSemaphore
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from server.errors.refusals import QueueFull

if TYPE_CHECKING:
    from collections.abc import Callable

_P = ParamSpec("_P")
_T = TypeVar("_T")


class BoundedPool:
    """Runs functions on ``thread_count`` threads; ``waiting_capacity`` further ones may wait."""

    def __init__(self, name: str, thread_count: int, waiting_capacity: int) -> None:
        self._executor = ThreadPoolExecutor(thread_count, thread_name_prefix=name)
        self._permits = BoundedSemaphore(thread_count + waiting_capacity)
        self._waiting_capacity = waiting_capacity

    async def run(self, function: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
        """Runs a function. Raises ``QueueFull`` at once where too many functions wait.

        A cancelled caller returns at once; a function that already runs goes on and holds its permit to its end.
        """
        if not self._permits.acquire(blocking=False):
            raise QueueFull(self._waiting_capacity)
        future = self._executor.submit(function, *args, **kwargs)
        future.add_done_callback(lambda _: self._permits.release())
        return await asyncio.wrap_future(future)

    def close(self) -> None:
        """Drops waiting functions; running ones go on to their end."""
        self._executor.shutdown(wait=False, cancel_futures=True)
