"""Areas under curves as bars with intervals."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.figure import Figure

from evaluation.report.drawing.style import BLUE, GREEN, GREY, ORANGE, canvas, legend
from evaluation.statistics.area import Area

KINDS = ("before the clip", "of the clip", "combined, held out")
_COLOURS = dict(zip(KINDS, (ORANGE, BLUE, GREEN), strict=True))


def draw_areas(rows: Sequence[tuple[str, str, Area]], wanted: float) -> Figure:
    """Draws rows of (name, kind of ``KINDS``, area), the first on top."""
    figure, (axes,) = canvas(7.2, 1.1 + 0.24 * len(rows))
    axes.axvline(0.5, color=GREY, linewidth=1)
    axes.axvline(wanted, color=GREY, linestyle="--", linewidth=1, label=f"wanted: {wanted:g}")
    for kind in KINDS:
        chosen = [(row, area) for row, (_, its_kind, area) in enumerate(rows) if its_kind == kind]
        if not chosen:
            continue
        values = [area.value for _, area in chosen]
        errors = [
            [max(area.value - area.low, 0.0) for _, area in chosen],
            [max(area.high - area.value, 0.0) for _, area in chosen],
        ]
        axes.barh(
            [row for row, _ in chosen],
            [value - 0.5 for value in values],
            left=0.5,
            height=0.62,
            xerr=errors,
            color=_COLOURS[kind],
            ecolor=GREY,
            error_kw={"linewidth": 1},
            label=kind,
        )
    axes.set_yticks(range(len(rows)), [name for name, _, _ in rows])
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.set_xlim(min([0.4, *(area.low for _, _, area in rows)]), 1.0)
    axes.set_xlabel("area under the curve for success, with 95 % intervals")
    legend(figure, axes, 2)
    return figure
