"""Draws the contact sheet: the picture, evenly spaced frames, and the prompt as caption below."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from PIL import Image, ImageDraw, ImageFont, ImageOps

from stillcue.cli.files import replacing

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from stillcue.cli.frames import Pixels

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont

TILE_COUNT = 8
COLUMN_COUNT = 4
TILE_LIMIT_PX = 320
CAPTION_SIZE_PX = 18
_LABEL_SIZE_PX = 13
_GAP_PX = 10
_PAPER = (250, 250, 248)
_INK = (30, 30, 30)
# Pillow's own font has little more than ASCII. These fonts are common on systems; Pillow finds them by name.
_SYSTEM_FONTS = ("DejaVuSans.ttf", "NotoSansCJK-Regular.ttc", "wqy-microhei.ttc", "PingFang.ttc", "msyh.ttc")
_NO_CHARACTER = "\U0010ffff"  # drawn to obtain the glyph that a font shows for missing characters


def sheet_indices(frame_count: int) -> frozenset[int]:
    """Returns the indices of the frames on a sheet: the first, the last, and evenly spaced ones between."""
    shown = min(TILE_COUNT - 1, frame_count)
    return frozenset(round(tile * (frame_count - 1) / max(shown - 1, 1)) for tile in range(shown))


def caption_font(text: str, path: Path | None = None) -> Font | None:
    """Returns a font that has every character of a text, or None.

    Tries the font file ``path`` if given, otherwise Pillow's own font and then the system's. Raises ``OSError`` if the
    file holds no font.
    """
    if path is not None:
        font = ImageFont.truetype(str(path), CAPTION_SIZE_PX)
        return font if can_show(font, text) else None
    return next((font for font in _fonts() if can_show(font, text)), None)


def can_show(font: Font, text: str) -> bool:
    """Returns True if a font has every character of a text."""
    try:
        missing = _glyph(font, _NO_CHARACTER)
        return all(_glyph(font, character) != missing for character in set(text) if not character.isspace())
    except UnicodeEncodeError:  # a bitmap font has no characters beyond Latin-1
        return False


def write_sheet(
    path: Path, *, picture: Path, frames: Mapping[int, Pixels], frame_rate: float, caption: str, font: Font | None
) -> None:
    """Writes a contact sheet as PNG.

    ``frames`` maps frame indices to pixels [height, width, 3] uint8 of one size. ``font`` None: no caption.
    """
    first = next(iter(frames.values()))
    size = _tile_size(first.shape[1], first.shape[0])
    tiles = [("picture", _fit_picture(picture, size))]
    for index, pixels in frames.items():
        image = Image.fromarray(pixels)
        tiles.append((f"frame {index}, {index / frame_rate:.2f} s", image.resize(size, _resampling(image.size, size))))
    columns = min(COLUMN_COUNT, len(tiles))
    rows = -(-len(tiles) // columns)
    cell_width, cell_height = size[0] + _GAP_PX, size[1] + _GAP_PX + _LABEL_SIZE_PX + 4
    width = columns * cell_width + _GAP_PX
    lines = _wrap(caption, font, width - 2 * _GAP_PX) if font is not None else []
    line_height = round(CAPTION_SIZE_PX * 1.4)
    grid_height = rows * cell_height + _GAP_PX
    sheet = Image.new("RGB", (width, grid_height + (len(lines) * line_height + _GAP_PX if lines else 0)), _PAPER)
    draw = ImageDraw.Draw(sheet)
    label_font = ImageFont.load_default(_LABEL_SIZE_PX)
    for place, (label, image) in enumerate(tiles):
        left = _GAP_PX + place % columns * cell_width
        top = _GAP_PX + place // columns * cell_height
        sheet.paste(image, (left + (size[0] - image.width) // 2, top + (size[1] - image.height) // 2))
        draw.text((left, top + size[1] + 2), label, fill=_INK, font=label_font)
    for number, line in enumerate(lines):
        draw.text((_GAP_PX, grid_height + number * line_height), line, fill=_INK, font=font)
    with replacing(path) as temporary:
        sheet.save(temporary, format="PNG")


def _fonts() -> Iterator[Font]:
    yield ImageFont.load_default(CAPTION_SIZE_PX)
    for name in _SYSTEM_FONTS:
        with suppress(OSError):  # not on this system
            yield ImageFont.truetype(name, CAPTION_SIZE_PX)


def _tile_size(width_px: int, height_px: int) -> tuple[int, int]:
    """Returns the size of a frame on the sheet: small frames are enlarged by a whole factor, large ones reduced."""
    longer = max(width_px, height_px)
    if longer <= TILE_LIMIT_PX:
        factor = TILE_LIMIT_PX // longer
        return width_px * factor, height_px * factor
    return max(width_px * TILE_LIMIT_PX // longer, 1), max(height_px * TILE_LIMIT_PX // longer, 1)


def _fit_picture(picture: Path, size: tuple[int, int]) -> Image.Image:
    with Image.open(picture) as opened:
        image = ImageOps.exif_transpose(opened).convert("RGB")
    scale = min(size[0] / image.width, size[1] / image.height)
    fitted = (max(round(image.width * scale), 1), max(round(image.height * scale), 1))
    return image.resize(fitted, _resampling(image.size, fitted))


def _resampling(source: tuple[int, int], target: tuple[int, int]) -> Image.Resampling:
    return Image.Resampling.NEAREST if target > source else Image.Resampling.LANCZOS


def _glyph(font: Font, character: str) -> bytes:
    image = Image.new("L", (3 * CAPTION_SIZE_PX, 3 * CAPTION_SIZE_PX))
    ImageDraw.Draw(image).text((CAPTION_SIZE_PX, CAPTION_SIZE_PX), character, fill=255, font=font)
    return image.tobytes()


def _wrap(text: str, font: Font, width_px: int) -> list[str]:
    """Breaks a text into lines at spaces, and inside words wider than a line, as in Chinese."""
    lines = [""]
    for word in text.split():
        candidate = f"{lines[-1]} {word}".lstrip()
        if font.getlength(candidate) <= width_px:
            lines[-1] = candidate
            continue
        if lines[-1]:
            lines.append("")
        for character in word:
            if font.getlength(lines[-1] + character) > width_px:
                lines.append("")
            lines[-1] += character
    return lines
