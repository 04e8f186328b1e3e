"""``comfy.utils``: the bar of the node that runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Hook = Callable[[int, int, Any], None]
_hooks: list[Hook] = []


def set_progress_bar_global_hook(hook: Hook) -> None:
    """Sets the function that every bar calls with value, total and preview."""
    _hooks[:] = [hook]


class ProgressBar:
    """A bar from 0 to ``total``."""

    def __init__(self, total: int) -> None:
        self.total = total
        self.current = 0

    def update_absolute(self, value: int, total: int | None = None, preview: Any = None) -> None:
        self.total = self.total if total is None else total
        self.current = min(value, self.total)
        for hook in _hooks:
            hook(self.current, self.total, preview)

    def update(self, value: int) -> None:
        self.update_absolute(self.current + value)
