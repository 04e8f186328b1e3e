"""Checks what comes through the pack's own links: ComfyUI accepts a plain value in place of one."""

from __future__ import annotations

from ..errors import NodeError


def check_links(**links: tuple[object, type, str]) -> None:
    """Raises ``NodeError`` for a value that is not of its type; each has the type and the node that gives it."""
    for name, (value, kind, source) in links.items():
        if not isinstance(value, kind):
            raise NodeError(f"{name} is {str(value)[:80]!r} instead of a link; link it from a {source} node")
