"""Who is next: a bounded queue, first come first served, one job in the engine.

Lives in the event loop. Knows positions; does not know jobs, engines or gRPC.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from server.errors import QueueFull, ServerDraining

if TYPE_CHECKING:
    from collections.abc import Callable


class Waiter(Protocol):
    """Somebody with a place in the queue."""

    def move(self, position: int) -> None:
        """``position`` others are ahead, the running one included; at 0 the engine is the waiter's."""
        ...

    def refuse(self, error: BaseException) -> None:
        """The place is lost."""
        ...


class Admission:
    """``capacity`` waiters may wait behind the running one. ``on_waiting_count`` is told how many do."""

    def __init__(self, capacity: int, on_waiting_count: Callable[[int], None]) -> None:
        self._capacity = capacity
        self._on_waiting_count = on_waiting_count
        self._line: list[Waiter] = []  # the first one has the engine
        self._is_closed = False
        self._hindrance: Callable[[], Exception] | None = None

    def check(self) -> None:
        """Raises ``QueueFull``, ``ServerDraining`` or what ``refuse_new`` gave where ``enter`` would.

        Asked before anything is prepared, so that nothing is prepared in vain.
        """
        if self._is_closed:
            raise ServerDraining
        if self._hindrance is not None:
            raise self._hindrance()
        if len(self._line) > self._capacity:
            raise QueueFull(self._capacity)

    def enter(self, waiter: Waiter) -> None:
        """Gives a waiter the last place and tells it which one that is. Raises like ``check``."""
        self.check()
        self._line.append(waiter)
        self._report()
        waiter.move(len(self._line) - 1)

    def leave(self, waiter: Waiter) -> None:
        """Takes a waiter out, wherever it stands, and moves those behind it up. Harmless when it is not in."""
        if waiter not in self._line:
            return
        index = self._line.index(waiter)
        del self._line[index]
        self._report()
        for position, other in enumerate(self._line[index:], start=index):
            other.move(position)

    def refuse_new(self, hindrance: Callable[[], Exception] | None) -> None:
        """Refuses those who come, until None is given; those who wait keep their places."""
        self._hindrance = hindrance

    def close(self) -> None:
        """Refuses those who wait and those who come; the running one goes on."""
        self._is_closed = True
        waiting = self._line[1:]
        del self._line[1:]
        self._report()
        for waiter in waiting:
            waiter.refuse(ServerDraining())

    def refuse_running(self) -> None:
        """Ends the running one too."""
        for waiter in self._line:
            waiter.refuse(ServerDraining())

    def _report(self) -> None:
        self._on_waiting_count(max(len(self._line) - 1, 0))
