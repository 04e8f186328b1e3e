"""Picture findings: the table, its page in docs, and the conditions of each finding."""

from __future__ import annotations

from string import Formatter

import pytest

from engine.analysis.picture.findings import picture_finding_table, picture_findings, place_count
from engine.api.capabilities import Geometry
from engine.api.match_report import Grounding
from engine.api.media import Box, ImageFormat
from engine.api.picture_report import PictureIssue, PictureReport
from engine.api.prompt_report import Language, Severity

_CLIP = Geometry(480, 480, 81)
_GOOD = PictureReport(ImageFormat.PNG, 960, 640, 1, 500.0, 1.0, ())


def _grounding(
    box: Box | None = Box(100, 100, 600, 400), coverage: float = 0.8, offset: float = 0.05, places: int = 1
) -> Grounding:
    heat_map = tuple(
        tuple(1.0 if column % 3 == 0 and column < 3 * places else 0.1 for column in range(9)) for _ in "ab"
    )
    return Grounding(heat_map, box, coverage, 0.4, 0.5, 0.5, offset)


def _codes(report: PictureReport = _GOOD, grounding: Grounding | None = None) -> list[str]:
    return [item.code for item in picture_findings(report, grounding, Language.EN, _CLIP)]


def test_every_issue_has_a_row() -> None:
    assert {issue.value for issue in PictureIssue} <= set(picture_finding_table())


@pytest.mark.parametrize("code", list(picture_finding_table()))
def test_both_languages_use_the_same_words(code: str) -> None:
    row = picture_finding_table()[code]
    for texts in (row.message, row.suggestion):
        names = [{name for _, name, _, _ in Formatter().parse(text) if name} for text in texts.values()]
        assert set(texts) == {Language.EN, Language.ZH}
        assert names[0] == names[1]


def test_a_good_picture_and_a_large_subject_in_the_middle() -> None:
    assert _codes(grounding=_grounding()) == []


@pytest.mark.parametrize(
    ("grounding", "codes"),
    [
        (_grounding(box=None), ["no_subject"]),
        (_grounding(coverage=0.59), ["small_subject"]),
        (_grounding(offset=0.16), ["off_center"]),
        (_grounding(offset=0.26), ["far_off_center"]),
        (_grounding(places=3), ["other_subjects"]),
    ],
)
def test_where_the_subject_is(grounding: Grounding, codes: list[str]) -> None:
    assert _codes(grounding=grounding) == codes


def test_a_small_picture_is_no_fault_where_the_clip_is_no_larger() -> None:
    small = PictureReport(ImageFormat.PNG, 200, 200, 1, 500.0, 1.0, (PictureIssue.SMALL,))
    assert _codes(small) == ["small"]
    assert picture_findings(small, None, Language.EN, Geometry(64, 64, 17)) == ()


def test_the_gravest_comes_first_and_places_are_told() -> None:
    line = Box(10, 20, 30, 4)
    report = PictureReport(
        ImageFormat.PNG,
        960,
        640,
        3,
        500.0,
        1.0,
        (PictureIssue.ROTATED, PictureIssue.LETTERING, PictureIssue.PAGES),
        text_lines=(line,),
        text_coverage=0.015,
    )
    found = picture_findings(report, None, Language.ZH, _CLIP)
    assert [(item.code, item.severity) for item in found] == [
        ("lettering", Severity.WARNING),
        ("pages", Severity.WARNING),
        ("rotated", Severity.INFO),
    ]
    assert found[0].boxes == (line,)
    assert found[1].message == "文件有 3 页，只使用第一页。"
    assert found[0].message == "图片中有文字（1 处，占面积 1.5%）；文字在视频中容易变形。"


def test_places_are_counted_without_small_ones() -> None:
    rows = ("111000000", "111000010", "111001000")
    heat_map = tuple(tuple(float(mark) for mark in row) for row in rows)
    assert place_count(Grounding(heat_map, None, 0.0, 0.0, 0.0, 0.0, 0.0)) == 1
    assert place_count(Grounding((), None, 0.0, 0.0, 0.0, 0.0, 0.0)) == 1
