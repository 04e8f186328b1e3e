"""The gate of a job on the steered engine, from the side of a test."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

_ALL = 1_000_000


@dataclass(frozen=True)
class Gate:
    """The engine makes graph calls only while ``permit`` allows more; see ``tests.ray.engines``."""

    folder: Path

    def __post_init__(self) -> None:
        self.permit(0)

    @property
    def prompt(self) -> str:
        """A prompt whose job keeps to the gate."""
        return f"a red fox gate={self.folder}"

    def permit(self, call_count: int) -> None:
        """Allows so many graph calls in all."""
        temporary = self.folder / "permits.part"
        temporary.write_text(str(call_count))
        temporary.replace(self.folder / "permits")

    def open(self) -> None:
        """Allows every graph call."""
        self.permit(_ALL)

    @property
    def calls(self) -> list[str]:
        """Names of the graph calls that were made, of all runs."""
        path = self.folder / "calls"
        return path.read_text().splitlines() if path.exists() else []
