"""Whether calls are let in: starting, open, draining. Counts who is inside; does not know what they do."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from typing import TYPE_CHECKING, Generic, TypeVar

from server.errors import ServerDraining, ServerStarting

if TYPE_CHECKING:
    from collections.abc import Iterator

_T = TypeVar("_T")


class Gate(Generic[_T]):
    """Hands everybody who enters what was put behind it."""

    def __init__(self) -> None:
        self._inside: _T | None = None
        self._is_closed = False
        self._count = 0
        self._empty = asyncio.Event()
        self._empty.set()

    def open(self, inside: _T) -> None:
        """Lets calls in."""
        self._inside = inside

    def close(self) -> None:
        """Lets nobody in any more; those inside stay."""
        self._is_closed = True

    @contextmanager
    def enter(self) -> Iterator[_T]:
        """Raises ``ServerStarting`` or ``ServerDraining`` while the gate is not open."""
        if self._is_closed:
            raise ServerDraining
        if self._inside is None:
            raise ServerStarting
        self._count += 1
        self._empty.clear()
        try:
            yield self._inside
        finally:
            self._count -= 1
            if self._count == 0:
                self._empty.set()

    async def wait_empty(self) -> None:
        """Returns when nobody is inside."""
        await self._empty.wait()
