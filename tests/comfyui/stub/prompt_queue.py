"""The queue of prompts, and the history of those that have ended."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import Any

Item = tuple[int, str, dict[str, Any], dict[str, Any], list[str]]  # number, id, graph, extra data, output nodes


class PromptQueue:
    """Prompts run one after the other. ``on_change`` is called after each change."""

    def __init__(self, on_change: Callable[[], None]) -> None:
        self._waiting: deque[Item] = deque()
        self._running: list[Item] = []
        self._changed = threading.Condition()
        self._on_change = on_change
        self.history: dict[str, dict[str, Any]] = {}

    def put(self, item: Item) -> None:
        with self._changed:
            self._waiting.append(item)
            self._changed.notify()
        self._on_change()

    def get(self) -> Item:
        """Waits for the next prompt, which then runs."""
        with self._changed:
            self._changed.wait_for(lambda: bool(self._waiting))
            item = self._waiting.popleft()
            self._running = [item]
        self._on_change()
        return item

    def done(self, item: Item, entry: dict[str, Any]) -> None:
        """Moves the running prompt into the history."""
        with self._changed:
            self._running = []
            self.history[item[1]] = {"prompt": item, **entry}
        self._on_change()

    def delete(self, prompt_id: str) -> None:
        """Removes a waiting prompt."""
        with self._changed:
            self._waiting = deque(item for item in self._waiting if item[1] != prompt_id)
        self._on_change()

    def get_current_queue_volatile(self) -> tuple[list[Item], list[Item]]:
        """Returns the running and the waiting prompts."""
        with self._changed:
            return list(self._running), list(self._waiting)
