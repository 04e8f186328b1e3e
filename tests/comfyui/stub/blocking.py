"""``comfy_execution.graph``: an output that stops the nodes which use it."""

from __future__ import annotations


class ExecutionBlocker:
    """``message`` None: silently."""

    def __init__(self, message: str | None) -> None:
        self.message = message
