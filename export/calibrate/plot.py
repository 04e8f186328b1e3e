"""The reliability plot as SVG: predicted probability on the x axis, observed share on the y axis."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

_SIDE, _EDGE = 320, 48
_COLOURS = ("#1f6feb", "#d1242f", "#1a7f37", "#9a6700", "#8250df", "#57606a", "#bf3989")


def reliability_plot(curves: Mapping[str, Sequence[Mapping[str, float]]], title: str) -> str:
    """Draws one line for each curve. The area of a point is proportional to the count of its bin."""
    size = _SIDE + 2 * _EDGE
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{size + 190}" height="{size}" font-family="sans-serif" '
        'font-size="12">',
        f'<rect width="{size + 190}" height="{size}" fill="white"/>',
        f'<text x="{_EDGE}" y="24" font-size="14">{escape(title)}</text>',
        f'<rect x="{_EDGE}" y="{_EDGE}" width="{_SIDE}" height="{_SIDE}" fill="none" stroke="#888"/>',
        f'<line x1="{_x(0)}" y1="{_y(0)}" x2="{_x(1)}" y2="{_y(1)}" stroke="#bbb" stroke-dasharray="4"/>',
        f'<text x="{_x(0.5)}" y="{size - 12}" text-anchor="middle">predicted probability</text>',
        f'<text x="14" y="{_y(0.5)}" text-anchor="middle" transform="rotate(-90 14 {_y(0.5)})">observed share</text>',
    ]
    for tick in (0.0, 0.5, 1.0):
        parts.append(f'<text x="{_x(tick)}" y="{_y(0) + 16}" text-anchor="middle">{tick:g}</text>')
        parts.append(f'<text x="{_x(0) - 6}" y="{_y(tick) + 4}" text-anchor="end">{tick:g}</text>')
    for index, (name, bins) in enumerate(curves.items()):
        colour = _COLOURS[index % len(_COLOURS)]
        parts += _curve(bins, colour)
        top = _EDGE + 18 * index
        parts.append(f'<circle cx="{size - 20}" cy="{top}" r="5" fill="{colour}"/>')
        parts.append(f'<text x="{size - 8}" y="{top + 4}">{escape(name)}</text>')
    return "\n".join([*parts, "</svg>"]) + "\n"


def _curve(bins: Sequence[Mapping[str, float]], colour: str) -> list[str]:
    total = sum(item["count"] for item in bins)
    points = [(_x(item["predicted"]), _y(item["observed"]), item["count"] / total) for item in bins]
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y, _ in points)
    dots = [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{2 + 8 * share**0.5:.1f}" fill="{colour}" fill-opacity="0.5"/>'
            for x, y, share in points]  # fmt: skip
    return [f'<polyline points="{line}" fill="none" stroke="{colour}"/>', *dots]


def _x(share: float) -> float:
    return _EDGE + _SIDE * share


def _y(share: float) -> float:
    return _EDGE + _SIDE * (1 - share)
