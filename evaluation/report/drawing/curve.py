"""Rates and figures over a setting: guidance, steps, size of the subject."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from evaluation.report.drawing.style import BLUE, GREEN, GREY, INK, ORANGE, PURPLE, canvas, legend
from evaluation.statistics.share import Share

_COLOURS = (BLUE, GREEN, PURPLE)
_MARKS = ("o", "s", "^")
_DASHES = ("-", "--", ":")


def draw_shares(values: Sequence[float], shares: Mapping[str, Sequence[Share]], label: str, reference: Share) -> Figure:
    """Draws shares over ``values``, the first with its interval. ``reference``: the success without the fault."""
    figure, (axes,) = canvas(6.4, 3.6)
    if reference.count:
        axes.axhline(100 * reference.rate, color=GREY, linestyle=":", linewidth=1.2, label="success without the fault")
    _draw_shares(axes, values, shares)
    axes.set_xlabel(label)
    axes.set_ylabel("clips, %")
    legend(figure, axes, 2)
    return figure


def draw_curve(
    values: Sequence[float],
    shares: Mapping[str, Sequence[Share]],
    figures: Mapping[str, Sequence[float]],
    label: str,
    *,
    own_value: float,
    advised: tuple[float, float] | None = None,
) -> Figure:
    """Draws shares on the left and mean figures, 0..1, on the right, over ``values``.

    ``own_value`` is the bundle's own setting, ``advised`` the article's range.
    """
    figure, (left, right) = canvas(9.0, 3.9, columns=2)
    _draw_shares(left, values, shares)
    for (name, means), colour, mark, dash in zip(figures.items(), _COLOURS, _MARKS, _DASHES, strict=False):
        right.plot(values, means, marker=mark, linestyle=dash, ms=4, lw=1.4, color=colour, label=name, clip_on=False)
    for axes in (left, right):
        axes.axvline(own_value, color=GREY, linestyle="-.", linewidth=1.0, label="the bundle's own")
        if advised is not None:
            axes.axvspan(*advised, color=ORANGE, alpha=0.18, lw=0, label="the article's advice")
        axes.set_xlabel(label)
    left.set_ylabel("clips, %")
    right.set_ylim(0, 1.03)
    right.set_ylabel("mean")
    for axes in (left, right):
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2, fontsize=8, frameon=False, labelcolor=INK)
    return figure


def _draw_shares(axes: Axes, values: Sequence[float], shares: Mapping[str, Sequence[Share]]) -> None:
    styles = zip(shares.items(), _COLOURS, _MARKS, _DASHES, strict=False)
    for index, ((name, listed), colour, mark, dash) in enumerate(styles):
        rates = [100 * share.rate for share in listed]
        axes.plot(values, rates, marker=mark, linestyle=dash, ms=4, lw=1.4, color=colour, label=name, clip_on=False)
        if not index:
            lows, highs = zip(*(share.interval for share in listed), strict=True)
            low, high = [100 * value for value in lows], [100 * value for value in highs]
            axes.fill_between(values, low, high, color=colour, alpha=0.15, lw=0)
    axes.set_ylim(0, 103)
