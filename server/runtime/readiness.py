"""The readiness of the server for calls: starting, open or draining. Counts the calls in progress."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from typing import TYPE_CHECKING, Generic, TypeVar

from server.errors.refusals import ServerDraining, ServerStarting

if TYPE_CHECKING:
    from collections.abc import Iterator

_T = TypeVar("_T")


class ReadinessGate(Generic[_T]):
    """Gives each call the context that ``open`` was called with."""

    def __init__(self) -> None:
        self._context: _T | None = None
        self._is_closed = False
        self._count = 0
        self._empty = asyncio.Event()
        self._empty.set()

    def open(self, context: _T) -> None:
        """Accepts calls from now on."""
        self._context = context

    def close(self) -> None:
        """Refuses new calls; calls in progress go on."""
        self._is_closed = True

    @contextmanager
    def enter(self) -> Iterator[_T]:
        """Wraps one call. Raises ``ServerStarting`` or ``ServerDraining`` while the gate is not open."""
        if self._is_closed:
            raise ServerDraining
        if self._context is None:
            raise ServerStarting
        self._count += 1
        self._empty.clear()
        try:
            yield self._context
        finally:
            self._count -= 1
            if self._count == 0:
                self._empty.set()

    async def wait_empty(self) -> None:
        """Returns when no call is in progress."""
        await self._empty.wait()
