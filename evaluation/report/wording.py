"""Figures as the page writes them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from evaluation.statistics.area import Area
from evaluation.statistics.difference import Difference
from evaluation.statistics.share import Share

NO_FIGURE = "–"
_SMALLEST_P = 0.001


def percent(rate: float) -> str:
    """A share of 1 as whole per cent: ``98 %``."""
    return f"{100 * rate:.0f} %"


def share_text(share: Share) -> str:
    """``98 % (93 to 99)``: the rate with its 95 % interval; a dash for no clips."""
    if not share.count:
        return NO_FIGURE
    low, high = share.interval
    return f"{percent(share.rate)} ({100 * low:.0f} to {100 * high:.0f})"


def rate_text(share: Share) -> str:
    """The rate alone; a dash for no clips."""
    return percent(share.rate) if share.count else NO_FIGURE


def points_text(difference: Difference) -> str:
    """``-23 (-31 to -15)``: a difference of rates in points of per cent, with its 95 % interval."""
    return f"{signed(100 * difference.value)} ({signed(100 * difference.low)} to {signed(100 * difference.high)})"


def signed(value: float, digits: int = 0) -> str:
    """A number with its sign, without one if it is written as zero."""
    text = f"{value:+.{digits}f}"
    return text if float(text) else text[1:]


def p_text(p: float) -> str:
    """``0.034``, or ``< 0.001``."""
    return f"< {_SMALLEST_P}" if p < _SMALLEST_P else f"{p:.3f}"


def area_text(area: Area | None) -> str:
    """``0.91 (0.88 to 0.93)``; a dash where all clips have the same outcome."""
    return NO_FIGURE if area is None else f"{area.value:.2f} ({area.low:.2f} to {area.high:.2f})"


def number(value: float | None, digits: int = 2) -> str:
    """A number with so many digits after the point, or a dash."""
    return NO_FIGURE if value is None else f"{value:.{digits}f}"


def listed(names: Iterable[str]) -> str:
    """``a``, ``a and b``, ``a, b and c``."""
    *others, last = list(names) or [""]
    return f"{', '.join(others)} and {last}" if others else last


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table in Markdown."""
    lines = [heads, ["---"] * len(heads), *rows]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)
