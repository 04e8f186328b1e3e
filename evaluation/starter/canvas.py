"""A canvas of any size on which backdrops are drawn; places are fractions of its width and height."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

Rgb = tuple[int, int, int]
Point = tuple[float, float]


class Canvas:
    """Draws on an RGB picture of ``width_px`` times ``height_px`` that starts as a vertical gradient."""

    def __init__(self, width_px: int, height_px: int, top: Rgb, low: Rgb) -> None:
        share = np.linspace(0.0, 1.0, height_px)[:, None]  # [height, 1]
        column = np.asarray(top) * (1.0 - share) + np.asarray(low) * share  # [height, 3]
        self.picture = Image.fromarray(np.repeat(column[:, None], width_px, axis=1).astype(np.uint8))
        self._draw = ImageDraw.Draw(self.picture, "RGBA")
        self._size = (width_px, height_px)
        self._unit = min(width_px, height_px)

    def band(self, top: float, low: float, colour: Rgb) -> None:
        """Fill the full width between two heights."""
        self.box((0.0, top), (1.0, low), colour)

    def box(self, first: Point, last: Point, colour: Rgb) -> None:
        """Fill an upright box between two corners."""
        self._draw.rectangle((*self._px(first), *self._px(last)), fill=colour)

    def rounded_box(self, first: Point, last: Point, colour: Rgb) -> None:
        """Fill an upright box with round corners."""
        self._draw.rounded_rectangle((*self._px(first), *self._px(last)), radius=self._unit // 20, fill=colour)

    def polygon(self, points: Sequence[Point], colour: Rgb) -> None:
        """Fill an outline."""
        self._draw.polygon([self._px(point) for point in points], fill=colour)

    def oval(self, centre: Point, across: float, down: float, colour: Rgb | tuple[int, int, int, int]) -> None:
        """Fill an ellipse; its radii are fractions of the shorter side, so that a circle stays round."""
        x, y = self._px(centre)
        across_px, down_px = across * self._unit, down * self._unit
        self._draw.ellipse((x - across_px, y - down_px, x + across_px, y + down_px), fill=colour)

    def ridge(self, top: float, height: float, shift: float, colour: Rgb) -> None:
        """Fill everything below a wavy line around ``top``."""
        line = [(x, top - height * math.sin(math.pi * (1.6 * x + shift))) for x in np.linspace(0.0, 1.0, 65)]
        self.polygon([*line, (1.0, 1.0), (0.0, 1.0)], colour)

    def clouds(self, *centres: Point) -> None:
        """Draw white clouds of three ovals each."""
        for x, y in centres:
            for beside, above, reach in ((-0.09, 0.02, 0.06), (0.0, 0.0, 0.09), (0.09, 0.02, 0.065)):
                width, height = self._size
                centre = (x + beside * self._unit / width, y + above * self._unit / height)
                self.oval(centre, reach * 1.2, reach * 0.75, (250, 252, 255))

    def _px(self, point: Point) -> Point:
        return point[0] * self._size[0], point[1] * self._size[1]
