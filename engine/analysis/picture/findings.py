"""Turns issues of a picture file and the place of the subject into findings, with the messages of ``findings.toml``."""

from __future__ import annotations

import functools
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from engine.analysis.picture.components import components_of
from engine.api.capabilities import Geometry
from engine.api.match_report import Grounding
from engine.api.media import Box
from engine.api.picture_report import PictureFinding, PictureIssue, PictureReport
from engine.api.prompt_report import Language, Severity

_SEVERITY_ORDER = tuple(Severity)
_COVERAGE = 0.6
_WARM = 0.5  # of a heat map, 0..1
_OFF_CENTER, _FAR_OFF_CENTER = 0.15, 0.25


@dataclass(frozen=True, slots=True)
class PictureFindingRow:
    """A row of the table. ``check`` describes the check; ``message`` and ``suggestion`` are templates by language."""

    code: str
    severity: Severity
    check: str
    message: Mapping[Language, str]
    suggestion: Mapping[Language, str]


@functools.cache
def picture_finding_table() -> Mapping[str, PictureFindingRow]:
    """All rows by code, in the order of the table."""
    path = Path(__file__).parent / "findings.toml"
    rows = tomllib.loads(path.read_text(encoding="utf-8"))["finding"]
    return {
        row["code"]: PictureFindingRow(
            row["code"],
            Severity(row["severity"]),
            row["check"],
            *({Language(name): text for name, text in row[part].items()} for part in ("message", "suggestion")),
        )
        for row in rows
    }


def picture_findings(
    report: PictureReport, grounding: Grounding | None, language: Language, clip: Geometry
) -> tuple[PictureFinding, ...]:
    """The findings on a picture for a clip, most severe first; in English unless ``language`` is Chinese."""
    is_large_enough = report.width_px >= clip.width_px and report.height_px >= clip.height_px
    message_language = language if language is Language.ZH else Language.EN
    values: dict[str, str | int] = {
        "width": report.width_px,
        "height": report.height_px,
        "sharpness": f"{report.sharpness:.0f}",
        "blockiness": f"{report.blockiness:.1f}",
        "count": len(report.text_lines),
        "pages": report.page_count,
        "coverage": f"{100 * report.text_coverage:.1f}",
    }
    found = [
        _finding(issue.value, message_language, values, report.text_lines if issue is PictureIssue.LETTERING else ())
        for issue in report.issues
        if not (issue is PictureIssue.SMALL and is_large_enough)
    ]
    found += _about_the_subject(grounding, message_language) if grounding is not None else ()
    return tuple(sorted(found, key=lambda item: _SEVERITY_ORDER.index(item.severity)))


def place_count(grounding: Grounding) -> int:
    """Number of warm places of the heat map, not counting those of less than a third of the largest one's cells."""
    heat = np.array(grounding.heat_map)
    if heat.ndim != 2:
        return 1
    areas = components_of(heat >= _WARM, np.zeros(heat.shape, np.uint8)).area
    return int((areas >= areas.max() / 3).sum()) if len(areas) else 1


def _about_the_subject(grounding: Grounding, message_language: Language) -> Iterator[PictureFinding]:
    if grounding.box is None:
        yield _finding("no_subject", message_language, {})
        return
    boxes = (grounding.box,)
    count = place_count(grounding)
    if count > 1:
        yield _finding("other_subjects", message_language, {"count": count})
    if grounding.coverage < _COVERAGE:
        yield _finding("small_subject", message_language, {"coverage": f"{100 * grounding.coverage:.0f}"}, boxes)
    offset = {"offset": f"{100 * grounding.center_offset:.0f}"}
    if grounding.center_offset > _FAR_OFF_CENTER:
        yield _finding("far_off_center", message_language, offset, boxes)
    elif grounding.center_offset > _OFF_CENTER:
        yield _finding("off_center", message_language, offset, boxes)


def _finding(
    code: str, message_language: Language, values: Mapping[str, str | int], boxes: tuple[Box, ...] = ()
) -> PictureFinding:
    row = picture_finding_table()[code]
    message = row.message[message_language].format(**values)
    suggestion = row.suggestion[message_language].format(**values)
    return PictureFinding(code, row.severity, message, suggestion, boxes)
