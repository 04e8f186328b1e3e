"""A brush that draws in a subject's own coordinates on a supersampled layer.

Own coordinates: the subject's box is [-0.5, 0.5] in both directions, y points down, the front points to +x. The brush
places, mirrors and tilts them on the layer.
"""

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from pocket.world.vocabulary import PICTURE_PX, Rgb

SUPERSAMPLING = 4
LAYER_PX = PICTURE_PX * SUPERSAMPLING

Point = tuple[float, float]

_THINNEST_SIDE = 0.12


def shade(colour: Rgb, amount: float) -> Rgb:
    """Mix a colour with white (amount > 0) or with dark blue (amount < 0)."""
    target = (255, 252, 246) if amount > 0 else (24, 22, 48)
    share = abs(amount)
    red, green, blue = (round(c * (1.0 - share) + t * share) for c, t in zip(colour, target, strict=True))
    return (red, green, blue)


def smooth(points: Sequence[Point], steps: int = 6) -> list[Point]:
    """Close `points` into a smooth outline (Catmull-Rom, `steps` pieces for each side)."""
    start = np.asarray(points)[:, None]  # [n, 1, 2]
    before, end, after = (np.roll(start, -k, axis=0) for k in (-1, 1, 2))
    u = (np.arange(steps) / steps)[:, None]  # [steps, 1]
    outline = 0.5 * (
        2 * start
        + (end - before) * u
        + (2 * before - 5 * start + 4 * end - after) * u**2
        + (3 * start - before - 3 * end + after) * u**3
    )  # [n, steps, 2]
    return [(x, y) for x, y in outline.reshape(-1, 2).tolist()]


class Brush:
    """Draws shapes of one subject on a transparent layer.

    `layer_px` is the layer's width and height, by default LAYER_PX squared; the centre is given in fractions of them,
    the size in a fraction of the shorter one.
    """

    def __init__(
        self,
        centre_x: float,
        centre_y: float,
        size: float,
        side: float,
        layer_px: tuple[int, int] = (LAYER_PX, LAYER_PX),
    ) -> None:
        self.layer = Image.new("RGBA", layer_px, (0, 0, 0, 0))
        self._draw = ImageDraw.Draw(self.layer)
        self._centre_px = (centre_x * layer_px[0], centre_y * layer_px[1])
        self._size_px = size * min(layer_px)
        sign = 1.0 if side >= 0 else -1.0
        self._side = sign * max(abs(side), _THINNEST_SIDE)

    def ellipse(self, centre: Point, radii: Point, colour: Rgb) -> None:
        """Fill an ellipse; centre and radii in own coordinates."""
        x, y = self._place(centre)
        across = abs(radii[0] * self._side) * self._size_px
        down = radii[1] * self._size_px
        self._draw.ellipse((x - across, y - down, x + across, y + down), fill=colour)

    def polygon(self, points: Sequence[Point], colour: Rgb) -> None:
        """Fill an outline given in own coordinates."""
        self._draw.polygon([self._place(p) for p in points], fill=colour)

    def line(self, points: Sequence[Point], width: float, colour: Rgb) -> None:
        """Draw a line with round ends, `width` in own coordinates."""
        placed = [self._place(p) for p in points]
        width_px = max(1, round(width * self._size_px))
        self._draw.line(placed, fill=colour, width=width_px, joint="curve")
        for x, y in (placed[0], placed[-1]):
            radius = width_px / 2
            self._draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=colour)

    def _place(self, point: Point) -> Point:
        return (
            self._centre_px[0] + point[0] * self._side * self._size_px,
            self._centre_px[1] + point[1] * self._size_px,
        )
