"""Rates and figures over a setting: guidance, steps, size of the subject."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from evaluation.report.drawing.style import BLUE, GREEN, GREY, ORANGE, PURPLE, canvas, legend, title
from evaluation.statistics.share import Share

_COLOURS = (BLUE, GREEN, PURPLE)


def draw_shares(values: Sequence[float], shares: Mapping[str, Sequence[Share]], label: str) -> Figure:
    """Draws shares over ``values``, the first with its interval."""
    figure, (axes,) = canvas(5.6, 3.4)
    _draw_shares(axes, values, shares)
    axes.set_xlabel(label)
    axes.set_ylabel("clips, %")
    legend(axes, "lower right")
    return figure


def draw_curve(
    values: Sequence[float],
    shares: Mapping[str, Sequence[Share]],
    figures: Mapping[str, Sequence[float]],
    label: str,
    *,
    own_value: float | None = None,
    advised: tuple[float, float] | None = None,
) -> Figure:
    """Draws shares on the left and mean figures, 0..1, on the right, over ``values``.

    ``own_value`` is the bundle's own setting, ``advised`` the article's range.
    """
    figure, (left, right) = canvas(9.0, 3.6, columns=2)
    for axes in (left, right):
        if advised is not None:
            axes.axvspan(*advised, color=ORANGE, alpha=0.18, lw=0, label="the article's advice")
        if own_value is not None:
            axes.axvline(own_value, color=GREY, linestyle=":", linewidth=1.2, label="the bundle's own")
        axes.set_xlabel(label)
    _draw_shares(left, values, shares)
    for (name, means), colour in zip(figures.items(), _COLOURS, strict=False):
        right.plot(values, means, marker="o", ms=3.5, lw=1.4, color=colour, label=name)
    right.set_ylim(0, 1.03)
    title(left, "clips, %, by the truth; success with its interval")
    title(right, "figures without truth, means")
    legend(left, "lower left")
    legend(right, "lower left")
    return figure


def _draw_shares(axes: Axes, values: Sequence[float], shares: Mapping[str, Sequence[Share]]) -> None:
    for index, ((name, listed), colour) in enumerate(zip(shares.items(), _COLOURS, strict=False)):
        rates = [100 * share.rate for share in listed]
        axes.plot(values, rates, marker="o", ms=3.5, lw=1.0 if index else 1.8, color=colour, label=name)
        if not index:
            lows, highs = zip(*(share.interval for share in listed), strict=True)
            axes.fill_between(values, [100 * low for low in lows], [100 * high for high in highs],
                              color=colour, alpha=0.15, lw=0)  # fmt: skip
    axes.set_ylim(0, 103)
