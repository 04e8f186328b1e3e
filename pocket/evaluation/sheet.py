"""Draws the contact sheet: one row for each clip with picture, sentence, verdicts and frames over time.

Without a font for Chinese on the machine, Chinese sentences are printed in English and marked (zh).
"""

import textwrap
from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from pocket.evaluation.clips import Outcome
from pocket.world import FRAME_COUNT, FRAMES_PER_SECOND, PICTURE_PX, caption

_TILE_PX = 2 * PICTURE_PX
_GAP_PX = 8
_TEXT_PX = 290
_HEADER_PX = 30
_SHOWN_FRAMES = (0, 4, 8, 12, FRAME_COUNT - 1)
_FONT_PX = 16
_SMALL_PX = 13
_WRAP_CHARACTERS = 36
_CHINESE_FONTS = (
    "NotoSansCJK-Regular.ttc",
    "wqy-zenhei.ttc",
    "wqy-microhei.ttc",
    "PingFang.ttc",
    "msyh.ttc",
    "simhei.ttf",
)
_INK, _FAINT, _GOOD, _POOR = (40, 42, 60), (120, 122, 136), (46, 134, 76), (206, 56, 52)


def draw_sheet(outcomes: Sequence[Outcome], path: Path) -> None:
    """Draw one row for each clip, in the order given, and save as PNG."""
    columns = 1 + len(_SHOWN_FRAMES)
    width = _TEXT_PX + columns * (_TILE_PX + _GAP_PX) + 3 * _GAP_PX
    sheet = Image.new("RGB", (width, _HEADER_PX + len(outcomes) * (_TILE_PX + _GAP_PX)), "white")
    draw = ImageDraw.Draw(sheet)
    latin = ImageFont.load_default(_SMALL_PX)
    draw.text((_GAP_PX, _GAP_PX), "picture", fill=_FAINT, font=latin)
    draw.text((_TILE_PX + 3 * _GAP_PX, _GAP_PX), "sentence, and what the clip shows", fill=_FAINT, font=latin)
    for place, index in enumerate(_SHOWN_FRAMES):
        draw.text((_frame_left(place), _GAP_PX), f"{index / FRAMES_PER_SECOND:.1f} s", fill=_FAINT, font=latin)
    for row, outcome in enumerate(outcomes):
        _draw_row(sheet, draw, outcome, _HEADER_PX + row * (_TILE_PX + _GAP_PX))
    path.parent.mkdir(parents=True, exist_ok=True)
    sheet.save(path)


def _draw_row(sheet: Image.Image, draw: ImageDraw.ImageDraw, outcome: Outcome, top: int) -> None:
    sheet.paste(_tile(outcome, None), (_GAP_PX, top))
    text, font = _printable(outcome)
    left = _TILE_PX + 3 * _GAP_PX
    draw.multiline_text((left, top + 4), text, fill=_INK, font=font, spacing=5)
    small = ImageFont.load_default(_SMALL_PX)
    verdicts = {
        outcome.told.action.replace("_", " "): outcome.motion_followed,
        f"light {outcome.told.light}": outcome.light_followed,
        "subject kept": outcome.subject_kept,
    }
    low = top + _TILE_PX - len(verdicts) * (_SMALL_PX + 3) - 2
    for line, (name, is_right) in enumerate(verdicts.items()):
        verdict = f"{name}: {'yes' if is_right else 'no'}"
        draw.text((left, low + line * (_SMALL_PX + 3)), verdict, fill=_GOOD if is_right else _POOR, font=small)
    for place, index in enumerate(_SHOWN_FRAMES):
        sheet.paste(_tile(outcome, index), (_frame_left(place), top))


def _frame_left(place: int) -> int:
    return _TEXT_PX + (place + 1) * (_TILE_PX + _GAP_PX) + 2 * _GAP_PX


def _tile(outcome: Outcome, index: int | None) -> Image.Image:
    """Return frame `index` of the clip, or its picture for None, enlarged."""
    pixels = outcome.picture if index is None else outcome.frames[index]
    return Image.fromarray(pixels).resize((_TILE_PX, _TILE_PX), Image.Resampling.LANCZOS)


def _printable(outcome: Outcome) -> tuple[str, ImageFont.FreeTypeFont | ImageFont.ImageFont]:
    latin = ImageFont.load_default(_FONT_PX)
    chinese = _find_chinese_font()
    if outcome.sentence.isascii():
        return textwrap.fill(outcome.sentence, _WRAP_CHARACTERS), latin
    if chinese is not None:
        return textwrap.fill(outcome.sentence, _WRAP_CHARACTERS // 2), chinese
    return textwrap.fill(f"(zh) {caption(outcome.told, 'en', 0, always_complete=True)}", _WRAP_CHARACTERS), latin


def _find_chinese_font() -> ImageFont.FreeTypeFont | None:
    for name in _CHINESE_FONTS:
        try:
            return ImageFont.truetype(name, _FONT_PX)
        except OSError:
            continue
    return None
