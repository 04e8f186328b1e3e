"""The contact sheet: for each clip the picture, the sentence and frames over time.

Knows drawing only. Sentences need a font; where none on the machine has Chinese characters, they
are told in English instead, marked (zh).
"""

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from pocket.world import PICTURE_PX, ClipSpec, caption

_SCALE = 2
_SHOWN_FRAMES = (0, 4, 8, 12, 16)
_TEXT_WIDTH_PX = 300
_GAP_PX = 8
_WRAP_CHARACTERS = 40
_LATIN_FONT_PX = 15
_CHINESE_FONTS = (
    "NotoSansCJK-Regular.ttc",
    "wqy-zenhei.ttc",
    "wqy-microhei.ttc",
    "PingFang.ttc",
    "msyh.ttc",
    "simhei.ttf",
)
_INK, _GOOD, _POOR = (40, 42, 60), (66, 164, 96), (222, 66, 62)


@dataclass(frozen=True)
class SheetRow:
    """One line of the sheet. frames: [frames, height, width, 3] uint8."""

    spec: ClipSpec
    sentence: str
    frames: NDArray[np.uint8]
    is_good: bool


def draw_sheet(rows: Sequence[SheetRow], path: Path) -> None:
    """Draw all rows below each other and save as PNG; a bar tells good (green) from poor."""
    tile = PICTURE_PX * _SCALE
    width = _TEXT_WIDTH_PX + len(_SHOWN_FRAMES) * (tile + _GAP_PX) + 2 * _GAP_PX
    sheet = Image.new("RGB", (width, len(rows) * (tile + _GAP_PX) + _GAP_PX), "white")
    draw = ImageDraw.Draw(sheet)
    chinese = _find_chinese_font()
    for index, row in enumerate(rows):
        top = _GAP_PX + index * (tile + _GAP_PX)
        draw.rectangle((2, top, 5, top + tile), fill=_GOOD if row.is_good else _POOR)
        text, font = _printable(row, chinese)
        draw.multiline_text((_GAP_PX * 2, top + 6), text, fill=_INK, font=font, spacing=4)
        for place, frame_index in enumerate(_SHOWN_FRAMES):
            frame = Image.fromarray(row.frames[frame_index])
            left = _TEXT_WIDTH_PX + place * (tile + _GAP_PX)
            sheet.paste(frame.resize((tile, tile), Image.Resampling.LANCZOS), (left, top))
    path.parent.mkdir(parents=True, exist_ok=True)
    sheet.save(path)


def _printable(
    row: SheetRow, chinese: ImageFont.FreeTypeFont | None
) -> tuple[str, ImageFont.FreeTypeFont | ImageFont.ImageFont]:
    latin = ImageFont.load_default(_LATIN_FONT_PX)
    if row.sentence.isascii():
        return textwrap.fill(row.sentence, _WRAP_CHARACTERS), latin
    if chinese is not None:
        return textwrap.fill(row.sentence, _WRAP_CHARACTERS // 2), chinese
    told = caption(row.spec, "en", 0, always_complete=True)
    return textwrap.fill(f"(zh) {told}", _WRAP_CHARACTERS), latin


def _find_chinese_font() -> ImageFont.FreeTypeFont | None:
    for name in _CHINESE_FONTS:
        try:
            return ImageFont.truetype(name, _LATIN_FONT_PX)
        except OSError:
            continue
    return None
