"""The success of every arm as a dot with its interval."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.figure import Figure

from evaluation.report.drawing.style import BLUE, GREY, ORANGE, RED, canvas, legend
from evaluation.statistics.share import Share

_ARTICLE_MATCHED, _ARTICLE_MISMATCHED = 95.0, (60.0, 70.0)


def draw_arms(rows: Sequence[tuple[str, Share, bool]]) -> Figure:
    """Draws rows of (title, success, significantly worse), the first on top."""
    figure, (axes,) = canvas(8.0, 1.2 + 0.22 * len(rows))
    axes.axvspan(*_ARTICLE_MISMATCHED, color=ORANGE, alpha=0.18, lw=0, label="the article, mismatched: 60 to 70 %")
    axes.axvline(_ARTICLE_MATCHED, color=GREY, linestyle="--", linewidth=1, label="the article, matched: about 95 %")
    for colour, label, worse in ((BLUE, "not worse than its comparison", False), (RED, "significantly worse", True)):
        chosen = [(row, share) for row, (_, share, is_worse) in enumerate(rows) if is_worse is worse and share.count]
        if not chosen:
            continue
        rates = [100 * share.rate for _, share in chosen]
        limits = [[100 * limit for limit in share.interval] for _, share in chosen]
        errors = [
            [rate - low for rate, (low, _) in zip(rates, limits, strict=True)],
            [high - rate for rate, (_, high) in zip(rates, limits, strict=True)],
        ]
        axes.errorbar(
            rates,
            [row for row, _ in chosen],
            xerr=errors,
            fmt="o",
            ms=4,
            lw=1.2,
            color=colour,
            label=label,
            clip_on=False,
        )
    axes.set_yticks(range(len(rows)), [name for name, _, _ in rows])
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.set_xlim(0, 101)
    axes.set_xlabel("clips that succeed, %, with 95 % intervals")
    legend(figure, axes, 2)
    return figure
