"""A share of clips with its interval."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from export.calibrate.statistics import wilson_interval


@dataclass(frozen=True, slots=True)
class Share:
    """``hit_count`` of ``count`` clips."""

    hit_count: int
    count: int

    @classmethod
    def of(cls, hits: Iterable[bool]) -> Share:
        """Counts the true ones."""
        listed = list(hits)
        return cls(sum(listed), len(listed))

    @property
    def rate(self) -> float:
        """The share, 0..1. Raises ``ZeroDivisionError`` for no clips: ask ``count`` first."""
        return self.hit_count / self.count

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval (low, high) by Wilson; (0, 1) for no clips."""
        return wilson_interval(self.hit_count, self.count)

    def __add__(self, other: Share) -> Share:
        return Share(self.hit_count + other.hit_count, self.count + other.count)


NOTHING = Share(0, 0)
