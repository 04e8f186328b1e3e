"""Sizes and colours of all figures."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.figure import Figure

# Colours that colour-blind readers can tell apart (M. Okabe and K. Ito, "Color universal design", 2008).
BLUE, ORANGE, GREEN, RED, PURPLE, GREY = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#5F6B76"
INK = "#24292F"
_PALE = "#D8DEE4"


def canvas(width_inches: float, height_inches: float, columns: int = 1) -> tuple[Figure, list[Axes]]:
    """A figure with white ground, and its axes from left to right."""
    figure = Figure(figsize=(width_inches, height_inches), layout="constrained", facecolor="white")
    axes = [figure.add_subplot(1, columns, column + 1) for column in range(columns)]
    for each in axes:
        each.grid(visible=True, color=_PALE, linewidth=0.6)
        each.set_axisbelow(True)
        each.tick_params(colors=INK, labelsize=9)
        each.xaxis.label.set_color(INK)
        each.yaxis.label.set_color(INK)
        for side, spine in each.spines.items():
            spine.set_color(GREY)
            spine.set_visible(side in {"left", "bottom"})
    return figure, axes


def legend(figure: Figure, axes: Axes, columns: int) -> None:
    """A legend of the labels in ``axes`` above the whole figure, where it hides nothing."""
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper left", ncols=columns, fontsize=8, frameon=False, labelcolor=INK)
