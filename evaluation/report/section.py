"""A section of the page: its title, its text, and its figures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.figure import Figure


@dataclass(frozen=True)
class Picture:
    """A figure: the name of its files, what it shows, for readers who do not see it, and the drawing."""

    name: str
    description: str
    drawing: Figure


@dataclass(frozen=True)
class Section:
    """``text`` is Markdown below the heading; the pictures follow it."""

    title: str
    text: str
    pictures: Sequence[Picture] = ()


def missing(title: str, reason: str) -> Section:
    """A section that says why it has no figures."""
    return Section(title, f"Not measured: {reason}\n")
