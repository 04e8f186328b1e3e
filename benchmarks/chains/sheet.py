"""Draws chains of several methods, one below another, from the folder of ``benchmarks.chains``; seams are marked.

    python -m benchmarks.chains.sheet --out FOLDER --picture docs/pictures/chains.png [--methods by_hand put_back_2]
                                      [--segments 3] [--cases 0 2 4 6]

For each story its sentences, and a row for each method; frames are spread evenly over each segment. Stories of even
numbers are English; those of odd numbers are Chinese, for which Pillow's own font has no letters.
"""

from __future__ import annotations

import argparse
import textwrap
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from benchmarks.chains.cases import Case, case_of
from benchmarks.chains.judge import Verdict, judge_chain
from benchmarks.chains.kept_chains import KeptChains
from benchmarks.chains.made_chain import MadeChain
from benchmarks.chains.methods import BASELINE, METHODS
from engine.bundle.folder import open_manifest
from pocket.settings import BUNDLE_FOLDER

_TILE_PX, _GAP_PX, _SEAM_PX = 84, 3, 19
_NAME_PX, _HEAD_PX = 132, 36
_SHOWN_PER_SEGMENT = 4
_FONT_PX, _LINE_PX = 13, 16
_WRAP_CHARACTERS = 50
_INK, _GOOD, _POOR = (40, 42, 60), (46, 134, 76), (206, 56, 52)
_NAMES = {BASELINE: "last frame", "put_back_2": "5 put back"}


def main(arguments: Sequence[str] | None = None) -> None:
    """Draws the sheet. Raises ``SystemExit`` for a chain that the folder lacks."""
    options = _options(arguments)
    kept = KeptChains(options.out, open_manifest(options.bundle)[1])
    cases = [case_of(index, options.segments) for index in options.cases]
    row_px = _TILE_PX + _GAP_PX
    width = _NAME_PX + options.segments * _block_px() - _SEAM_PX
    height = len(cases) * (_HEAD_PX + len(options.methods) * row_px + 2 * _GAP_PX)
    sheet = Image.new("RGB", (width, height), "white")
    top = 0
    for index, case in zip(options.cases, cases, strict=True):
        _draw_sentences(sheet, case, top)
        top += _HEAD_PX
        for method in options.methods:
            chain = kept.find(f"{method}_{options.segments}", index)
            if chain is None:
                raise SystemExit(
                    f"{options.out} lacks chain {index} of {method}; run python -m benchmarks.chains first"
                )
            _draw_row(sheet, _NAMES.get(method, method), chain, judge_chain(chain, case), top)
            top += row_px
        top += 2 * _GAP_PX
    options.picture.parent.mkdir(parents=True, exist_ok=True)
    sheet.save(options.picture, optimize=True)


def _draw_sentences(sheet: Image.Image, case: Case, top: int) -> None:
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(_FONT_PX)
    for segment, stage in enumerate(case.stages):
        text = textwrap.fill(stage.sentence, _WRAP_CHARACTERS)
        draw.multiline_text((_NAME_PX + segment * _block_px(), top + 1), text, _INK, font, spacing=2)


def _draw_row(sheet: Image.Image, name: str, chain: MadeChain, verdict: Verdict, top: int) -> None:
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(_FONT_PX)
    draw.text((_GAP_PX, top), name, _INK, font)
    motions = [f"motion {number}" for number in range(1, len(verdict.motions) + 1)]
    lines = [*zip(motions, verdict.motions, strict=True), ("subject kept", verdict.subject)]
    for line, (what, is_right) in enumerate(lines, start=1):
        colour = _GOOD if is_right else _POOR
        draw.text((_GAP_PX, top + line * _LINE_PX), f"{what}: {'yes' if is_right else 'no'}", colour, font)
    for segment, part in enumerate(chain.parts):
        left = _NAME_PX + segment * _block_px()
        if segment:
            seam = left - (_SEAM_PX + _GAP_PX) // 2
            draw.line((seam, top, seam, top + _TILE_PX), _POOR, 2)
        for place, index in enumerate(np.linspace(0, len(part) - 1, _SHOWN_PER_SEGMENT).round().astype(int)):
            tile = Image.fromarray(part[index]).resize((_TILE_PX, _TILE_PX), Image.Resampling.LANCZOS)
            sheet.paste(tile, (left + place * (_TILE_PX + _GAP_PX), top))


def _block_px() -> int:
    """The width of a segment's tiles with the seam after them."""
    return _SHOWN_PER_SEGMENT * (_TILE_PX + _GAP_PX) + _SEAM_PX


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.chains.sheet")
    parser.add_argument("--out", type=Path, required=True, help="folder that keeps finished chains")
    parser.add_argument("--picture", type=Path, required=True, help="PNG file to write")
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=[BASELINE, "put_back_2"])
    parser.add_argument("--segments", type=int, default=3, help="number of segments")
    parser.add_argument("--cases", nargs="+", type=int, default=[0, 2, 4, 6], help="numbers of stories")
    parser.add_argument("--bundle", type=Path, default=BUNDLE_FOLDER, help="pocket's bundle")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
