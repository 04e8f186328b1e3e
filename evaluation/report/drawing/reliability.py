"""Stated chances against measured success."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure

from evaluation.report.drawing.style import BLUE, GREY, ORANGE, canvas, legend
from evaluation.statistics.share import Share
from export.calibrate.statistics import Bin


def draw_reliability(curves: Mapping[str, Sequence[Bin]]) -> Figure:
    """Draws a line of dots with intervals for each curve; the area of a dot grows with the number of its clips."""
    figure, (axes,) = canvas(5.6, 4.6)
    axes.plot([0, 100], [0, 100], color=GREY, linestyle="--", linewidth=1, label="chance = success")
    for (name, bins), colour in zip(curves.items(), (ORANGE, BLUE), strict=False):
        total = sum(item.count for item in bins)
        shares = [Share(round(item.observed * item.count), item.count) for item in bins]
        stated = [100 * item.predicted for item in bins]
        rates = [100 * share.rate for share in shares]
        errors = [
            [rate - 100 * share.interval[0] for rate, share in zip(rates, shares, strict=True)],
            [100 * share.interval[1] - rate for rate, share in zip(rates, shares, strict=True)],
        ]
        axes.errorbar(stated, rates, yerr=errors, lw=1.0, color=colour)
        axes.scatter(
            stated, rates, [15 + 250 * item.count / total for item in bins], color=colour, alpha=0.7, label=name
        )
    axes.set_xlim(0, 101)
    axes.set_ylim(0, 103)
    axes.set_xlabel("stated chance, %")
    axes.set_ylabel("clips that succeed, %")
    legend(figure, axes, 2)
    return figure
