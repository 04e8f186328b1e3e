"""Prompt findings: the table, its page in docs, and the rules against labelled prompts."""

from __future__ import annotations

import re
from string import Formatter

import pytest

from benchmarks.prompt_findings import SETS, Score, labelled, report_on, scores
from engine.analysis.prompt.findings import example_motions, finding_table
from engine.analysis.prompt.vocabulary import SUBJECT_CLASSES
from engine.api.prompt_report import Language
from scripts.docs_tables import DOCUMENTATION, updated

_FEWEST_OF_EACH = 4
_CODES = list(finding_table())
# Floors under what is measured now (docs/findings.md has the first looks). A set with few positive prompts of a finding
# says little about that finding alone, so it counts in the whole of its set only.
_FLOORS = {
    "development": 0.95,
    "validation": 0.8,
    "held_out": 0.6,
    "pasted_development": 0.95,
    "pasted_held_out": 0.8,
}
_WHOLE = {
    "development": 0.98,
    "validation": 0.95,
    "held_out": 0.8,
    "pasted_development": 0.98,
    "pasted_held_out": 0.85,
}


@pytest.fixture(scope="module")
def measured() -> dict[str, dict[str, Score]]:
    return {name: {score.code: score for score in scores(labelled(name))} for name in SETS}


def test_the_page_is_current() -> None:
    page = (DOCUMENTATION / "findings.md").read_text(encoding="utf-8")
    assert updated("findings.md", page) == page, "run python -m scripts.docs_tables"


def test_there_are_enough_labelled_prompts() -> None:
    rows = [row for name in SETS for row in labelled(name)]
    chinese = sum(bool(re.search("[\u4e00-\u9fff]", row["text"])) for row in rows)
    assert len(rows) >= 150
    assert 0.45 <= chinese / len(rows) <= 0.6
    for code in _CODES:
        positive = sum(code in row["codes"] for row in rows)
        negative = sum(code not in row["codes"] for row in rows if "checked" not in row)
        assert positive >= _FEWEST_OF_EACH, code
        assert negative >= _FEWEST_OF_EACH, code


@pytest.mark.parametrize("code", _CODES)
@pytest.mark.parametrize("name", SETS)
def test_rules_find_what_a_person_finds(measured: dict[str, dict[str, Score]], name: str, code: str) -> None:
    score = measured[name][code]
    if score.positive_count >= _FEWEST_OF_EACH:
        assert score.precision >= _FLOORS[name], score
        assert score.recall >= _FLOORS[name], score


@pytest.mark.parametrize("name", SETS)
def test_rules_are_right_on_the_whole(measured: dict[str, dict[str, Score]], name: str) -> None:
    hits = sum(score.hit_count for score in measured[name].values())
    alarms = sum(score.false_alarm_count for score in measured[name].values())
    positive = sum(score.positive_count for score in measured[name].values())
    assert hits / (hits + alarms) >= _WHOLE[name]
    assert hits / positive >= _WHOLE[name]


@pytest.mark.parametrize(
    ("text", "codes"),
    [
        ("让他动起来", {"E01", "W03", "W06"}),
        ("make it move", {"E01", "W03", "W06"}),
        ("白色猫咪，沙发", {"E01", "E05"}),
        ("一只白色猫咪从沙发上跳下来，然后走向窗边，阳光逐渐变亮", set()),
        ("充满活力的少年在操场上奔跑，画面极具张力", {"W09"}),
    ],
)
def test_the_examples_that_the_rules_come_from(text: str, codes: set[str]) -> None:
    assert {finding.code for finding in report_on({"text": text}).findings} == codes


@pytest.mark.parametrize("code", _CODES)
def test_both_languages_say_the_same_with_the_same_words(code: str) -> None:
    for case in finding_table()[code].cases.values():
        for texts in (case.message, case.suggestion):
            names = [{name for _, name, _, _ in Formatter().parse(text) if name} for text in texts.values()]
            assert set(texts) == {Language.EN, Language.ZH}
            assert names[0] == names[1] or texts is case.suggestion


def test_every_class_of_subject_has_an_example_without_a_finding() -> None:
    classes = set(example_motions())
    assert classes == {*SUBJECT_CLASSES, "place"} - {"body", "worn"}
    for texts in example_motions().values():
        for text in texts.values():
            codes = {finding.code for finding in report_on({"text": text}).findings}
            assert codes <= {"I07"}, text


def test_every_case_is_reached() -> None:
    seen = set()
    for name in SETS:
        for row in labelled(name):
            seen |= {(finding.code, finding.case) for finding in report_on(row).findings}
    cases = {(row.code, case) for row in finding_table().values() for case in row.cases}
    assert seen == cases
