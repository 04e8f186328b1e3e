"""Previews in a terminal of 24-bit colour: half-block characters show two pixels in each cell."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from PIL import Image
from rich.color import Color
from rich.segment import Segment
from rich.style import Style

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderResult

    from stillcue.events import Preview

MAX_COLUMNS = 80
MAX_ROWS = 24
_UPPER_HALF_BLOCK = "▀"


def can_show_previews(console: Console) -> bool:
    """Returns True for an interactive terminal with 24-bit colour."""
    return console.is_terminal and console.color_system == "truecolor"


class PreviewBlocks:
    """A rich renderable of a preview, scaled to the room in the terminal."""

    def __init__(self, preview: Preview) -> None:
        with Image.open(io.BytesIO(preview.data)) as image:
            self._image = image.convert("RGB")

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        column_limit = min(options.max_width, MAX_COLUMNS)
        row_limit = max(min(console.height - 6, MAX_ROWS), 1)
        scale = min(column_limit / self._image.width, 2 * row_limit / self._image.height)
        columns = max(int(self._image.width * scale), 1)
        rows = max(int(self._image.height * scale) // 2, 1)
        pixels = self._image.resize(
            (columns, 2 * rows), Image.Resampling.BOX if scale < 1 else Image.Resampling.NEAREST
        )
        for row in range(rows):
            for column in range(columns):
                upper, lower = _color(pixels, column, 2 * row), _color(pixels, column, 2 * row + 1)
                yield Segment(_UPPER_HALF_BLOCK, Style(color=upper, bgcolor=lower))
            yield Segment.line()


def _color(image: Image.Image, column: int, row: int) -> Color:
    value = image.getpixel((column, row))
    assert isinstance(value, tuple)  # the image is RGB
    return Color.from_rgb(*value)
