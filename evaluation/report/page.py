"""Writes the page and the files of its figures. The same sections give the same bytes."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure

from evaluation.report.section import Picture, Section
from export.atomic_file import replacing, write_text

_PNG_DOTS_PER_INCH = 110


def write_page(page: Path, pictures: Path, title: str, introduction: str, sections: Sequence[Section]) -> None:
    """Writes every figure as SVG and PNG into ``pictures``, and the page, which shows the SVGs."""
    pictures.mkdir(parents=True, exist_ok=True)
    page.parent.mkdir(parents=True, exist_ok=True)
    for section in sections:
        for picture in section.pictures:
            _settle(picture.drawing)
            _write_drawing(pictures / f"{picture.name}.svg", picture.drawing)
            _write_drawing(pictures / f"{picture.name}.png", picture.drawing)
    folder = Path(os.path.relpath(pictures, page.parent)).as_posix()
    parts = [f"# {title}\n\n{introduction}"]
    for section in sections:
        shown = "".join(f"\n{_shown(picture, folder)}\n" for picture in section.pictures)
        parts.append(f"## {section.title}\n\n{section.text}{shown}")
    write_text(page, "\n".join(parts))


def _shown(picture: Picture, folder: str) -> str:
    return f"![{picture.description}]({folder}/{picture.name}.svg)"


def _settle(drawing: Figure) -> None:
    """Arranges the drawing once for both of its files."""
    drawing.set_dpi(_PNG_DOTS_PER_INCH)
    drawing.draw_without_rendering()
    drawing.set_layout_engine("none")


def _write_drawing(file: Path, drawing: Figure) -> None:
    """Writes without a date, and with element ids that are hashes with a fixed salt, so that bytes repeat."""
    kind = file.suffix.removeprefix(".")
    metadata = {"Date": None} if kind == "svg" else {"Software": None}
    with replacing(file) as partial, mpl.rc_context({"svg.hashsalt": "stillcue", "svg.fonttype": "none"}):
        drawing.savefig(partial, format=kind, metadata=metadata, dpi=_PNG_DOTS_PER_INCH)
