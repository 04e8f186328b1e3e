"""The page of a small run, whose rates are computed by hand."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from evaluation.plan.model import Arm, PictureChange, RemedyPlan
from evaluation.record import CLIPS_NAME, ClipRecord
from evaluation.report import write_report
from evaluation.side_files import ATTEMPTS_NAME, EXAMPLES_NAME
from tests.evaluation.measured_run import MATCHED, clip, clips, rows_of, write_json, write_run

_ARMS = (
    MATCHED,
    Arm(id="wrong_subject", group="sentence", title="wrong subject", right_remedy="match", advice="match"),
    Arm(id="implausible", group="sentence", title="implausible", right_remedy="match", advice="match"),
    Arm(id="vague", group="sentence", title="vague", advice="concrete_words", untold="never seen in training"),
    Arm(id="size_10", group="picture", title="10 %", picture=PictureChange(size=0.1), right_remedy="picture",
        advice="subject_large"),
    Arm(id="size_30", group="picture", title="30 %", picture=PictureChange(size=0.3), right_remedy="picture",
        advice="subject_large"),
    Arm(id="jpeg", group="picture", title="JPEG", right_remedy="picture", advice="lossless"),
    Arm(id="guidance_8", group="guidance", title="guidance 8", right_remedy="guidance"),
    Arm(id="guidance_12", group="guidance", title="guidance 12", right_remedy="guidance"),
    Arm(id="steps_4", group="steps", title="4 steps"),
    Arm(id="not_made", group="steps", title="not made yet"),
)  # fmt: skip
_REMEDIES = (
    RemedyPlan(of=("implausible",), remedies=("match", "seed")),
    RemedyPlan(of=("size_10",), remedies=("seed",)),
)
_COUNT = 40


def _records() -> Iterator[ClipRecord]:
    yield from clips("matched", 40, _COUNT)
    yield from clips("wrong_subject", 38, _COUNT, verdict="poor", chance=0.5)
    for index in range(_COUNT):
        symptoms, remedies = ((), ()) if index % 2 else (("frozen",), ("match", "shorten"))
        yield clip("implausible", index, motion=index < 10, symptoms=symptoms, remedies=remedies)
    yield from clips("vague", 20, _COUNT)
    yield from (clip("size_10", index, subject=False, judge=index < 30) for index in range(_COUNT))
    yield from clips("size_30", 40, _COUNT, judge=True)
    yield from clips("jpeg", 39, _COUNT)
    yield from clips("guidance_8", 20, _COUNT, guidance=8.0, factors={"dynamic_degree": 0.5})
    yield from clips("guidance_12", 0, _COUNT, guidance=12.0, symptoms=("subject_drift",), remedies=("guidance",))
    yield from clips("steps_4", 40, _COUNT, steps=4)
    for index in range(10, _COUNT):  # of 30 failed clips the remedy mends 24, a new seed 3 of these
        yield clip("implausible+match", index, subject=index < 34)
        yield clip("implausible+seed", index, subject=index < 13)
    yield clip("size_10+seed", 0, subject=False)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write_run(tmp_path_factory.mktemp("runs") / "run", _ARMS, _records(), _REMEDIES)
    sentences = [("a cat leaps", 99.0), ("a cat, a sofa", 40.0), ("make it move", 55.0)]
    examples = [{"sentence": text, "picture": "cat", "score": score, "chance": 0.5} for text, score in sentences]
    write_json(folder / EXAMPLES_NAME, examples)
    counts = [(1, 60, 0.6), (2, 75, 0.80)]
    same = {
        "arm": "guidance_8",
        "broken_rules": 0,
        "guidance": 8,
        "count": 100,
        "accept_from": 0.5,
        "predicted_if_independent": 0.9,
        "clips": 120,
    }
    attempts = [{"attempts": n, "success": k, "predicted": p, **same} for n, k, p in counts]
    write_json(folder / ATTEMPTS_NAME, attempts)
    return folder


@pytest.fixture(scope="module")
def page(run: Path) -> str:
    write_report(run, run / "docs" / "evidence.md", run / "docs" / "pictures" / "evidence")
    return (run / "docs" / "evidence.md").read_text(encoding="utf-8")


def _section(page: str, title: str) -> str:
    return page.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def test_the_page_begins_with_what_follows_and_what_was_measured(page: str) -> None:
    beginning = page.partition("\n## ")[0]
    assert (
        "Matched pairs succeed in 100 % (91 to 100), mismatched ones in 60 % (49 to 70), a difference of +40 "
        "(+27 to +51) points: a mismatch harms, and the interval includes part of the article's 25 to 35 points. "
        "Significantly worse than the matched pairs: implausible; not: wrong subject."
    ) in beginning
    assert "461 clips of 40 pairs of picture and sentence (231 English and 230 Chinese) in 10 arms" in beginning
    assert "and 61 of them in 3 further arms that make failed clips again" in beginning
    assert "Bundle `tiny` (0123456789ab), plan `small`, first seed 3; guidance 1.5 and 20 steps" in beginning
    assert "**The run is not complete: 400 of 440 clips are made.**" in beginning


def test_the_articles_table_has_its_four_rows(page: str) -> None:
    rows = rows_of(_section(page, "The article's table"))
    assert rows["subject stable"][1:] == [
        "100 % (91 to 100)", "drifts", "98 % (91 to 99)", "95 % (83 to 99)", "100 % (91 to 100)"
    ]  # fmt: skip
    assert rows["success"] == [
        "about 95 %", "100 % (91 to 100)", "60 to 70 %", "60 % (49 to 70)", "95 % (83 to 99)", "25 % (14 to 40)"
    ]  # fmt: skip
    assert rows["motion plausible"][-1] == "25 % (14 to 40)"
    assert rows["scene coherent"][-1] == "100 % (91 to 100)"
    assert rows["clips"] == ["", "40", "", "80", "40", "40"]


def test_every_arm_has_its_effect_and_motion_beside_consistency(page: str) -> None:
    section = _section(page, "Every arm")
    assert "English and Chinese differ significantly in no arm" in section
    assert "for the 11 comparisons of this page" in section  # nine arms, guidance below 7 and above 10
    assert (
        "| wrong subject | 40 | 95 % (83 to 99) | 100 % (91 to 100) | 100 % (91 to 100) | 95 % (83 to 99) |" in section
    )
    # 2 asin √0.95 - π = -0.451; p of 38 and 40 of 40 is 0.494
    assert rows_of(section)["wrong subject"] == [
        "matched", "-5 (-17 to +4)", "-0.45", "1.000", "1.000", "1.000", "1.000"
    ]  # fmt: skip
    assert rows_of(section)["guidance 8"] == [
        "matched", "-50 (-65 to -33)", "-1.57", "< 0.001", "1.000", "1.000", "0.500"
    ]  # fmt: skip


def test_advice_gets_the_verdict_of_its_figures(page: str) -> None:
    rows = rows_of(_section(page, "The article's advice"))
    verdicts = {name: cells[0] for name, cells in rows.items()}
    assert verdicts["picture and sentence match"] == "holds"
    assert rows["picture and sentence match"][1] == (
        "wrong subject: +5 (-4 to +17)<br>implausible: **+75 (+57 to +86)**"
    )
    assert rows["concrete words"] == ["cannot be told here", "", "vague (+50 (+33 to +65)): never seen in training"]
    assert verdicts["the subject on at least 60 % of the picture"] == "holds"
    assert verdicts["a lossless picture"] == "cannot be told here"  # +3 (-6 to +13)
    assert rows["guidance 7 to 9"][:2] == ["does not hold", "guidance below 7: -50 (-65 to -33)"]
    assert verdicts["guidance never above 10"] == "holds"
    assert rows["clips of 4 to 8 seconds"] == ["cannot be told here", "", "all clips last 4.25 s"]
    assert verdicts["in trouble: another picture"] == "cannot be told here"


def test_curves_include_the_bundles_own_setting(page: str) -> None:
    guidance = [line for line in _section(page, "Guidance").splitlines() if line[:3] in {"| 1", "| 8"}]
    assert [line.split("|")[1].strip() for line in guidance] == ["1.5", "8", "12"]
    steps = rows_of(_section(page, "Steps"))
    assert (steps["4"][4], steps["20"][4]) == ("100 % (91 to 100)", "100 % (91 to 100)")


def test_pictures_stand_beside_what_the_judge_says_of_the_drawn_clip(page: str) -> None:
    rows = rows_of(_section(page, "Pictures"))
    assert rows["10 %"] == ["40", "0 % (0 to 9)", "75 % (60 to 86)", "0 % (0 to 11)", "-100 (-100 to -88)"]
    assert rows["JPEG"][2:4] == ["–", "–"]


def test_remedies_are_compared_with_a_new_seed(page: str) -> None:
    section = _section(page, "Remedies")
    # 21 clips mended by the remedy alone, none by the seed alone: p = 2 / 2^21
    assert rows_of(section)["implausible"] == [
        "30", "**match**", "80 % (63 to 90)", "10 % (3 to 26)", "+70 (+47 to +82)", "< 0.001", "yes"
    ]  # fmt: skip
    assert rows_of(section)["10 %"] == ["40", "0 % (0 to 79)"]


def test_the_diagnosis_counts_first_remedies_and_false_alarms(page: str) -> None:
    rows = rows_of(_section(page, "Diagnosis after the clip"))
    # failed: 2 wrong subject, 30 implausible, 40 small, 1 JPEG, 20 and 40 guidance; right: 15 and 40
    first = rows["failed clips of arms with a fault: right remedy first"]
    assert (first[0], first[-1]) == ("41 % (33 to 50)", "80 %")
    assert rows["of those with a symptom: right remedy first"][0] == "100 % (93 to 100)"
    assert rows["failed clips without a symptom (misses)"][0] == "64 % (56 to 71)"  # 98 of 153
    assert rows["good clips of arms without a fault: any symptom (false alarms)"][0] == "0 % (0 to 4)"
    assert rows["implausible"] == ["match", "30", "50 % (33 to 67)", "50 % (33 to 67)", "50 % (24 to 76)"]
    assert rows["30 %"] == ["picture", "0", "–", "–", "0 % (0 to 9)"]


def test_chances_are_compared_with_measured_success(page: str) -> None:
    section = _section(page, "Chance of success before the clip")
    rows = rows_of(section)
    # 247 of 400 succeed; the prior of a score of 100 is 1 / (1 + e^-3.72) = 0.976
    assert "400 clips, of which 62 % succeed" in section
    assert rows["the base rate for all"] == ["0.237", "0.000"]
    assert rows["the article's prior"] == ["0.365", "0.359"]
    assert rows["vague"][:3] == ["100 %", "90 %", "98 %"]
    assert rows["vague"][-2:] == ["50 % (35 to 65)", "90 %, too high"]
    assert rows["matched"][-1] == "90 %, in the interval"  # of all arms at once
    assert "It is too low in no arm." in section


def test_examples_out_of_order_are_named(page: str) -> None:
    section = _section(page, "The article's sentences")
    assert "another order: “make it move” scores 55.0, more than “a cat, a sofa” with 40.0." in section


def test_attempts_are_compared_with_their_prediction(page: str) -> None:
    section = _section(page, "Several attempts")
    assert "1 of 2 predictions are within 3 points" in section
    assert "| 8 | 0.5 | 2 | 100 | 120 | 75 % (66 to 82) | 80 % | -5.0 | 90 % |" in section


def test_a_second_report_has_the_same_bytes_but_for_seconds_and_order(run: Path, page: str, tmp_path: Path) -> None:
    lines = (run / CLIPS_NAME).read_text(encoding="utf-8").splitlines(keepends=True)
    again = write_run(tmp_path / "again", _ARMS, (), _REMEDIES)
    torn = '{"arm": "matched", "index": 4'
    reordered = "".join(line.replace('"seconds":1.0', '"seconds":2.5') for line in reversed(lines)) + torn
    (again / CLIPS_NAME).write_text(reordered, encoding="utf-8")
    for name in (EXAMPLES_NAME, ATTEMPTS_NAME):
        (again / name).write_bytes((run / name).read_bytes())
    write_report(again, again / "docs" / "evidence.md", again / "docs" / "pictures" / "evidence")
    files = sorted(path.relative_to(run / "docs") for path in (run / "docs").rglob("*.*"))
    names = ["areas", "arms", "guidance", "reliability", "size", "steps"]
    pictures = sorted(Path("pictures", "evidence", f"{name}.{kind}") for name in names for kind in ("png", "svg"))
    assert files == [Path("evidence.md"), *pictures]
    assert [(run / "docs" / name).read_bytes() for name in files] == [
        (again / "docs" / name).read_bytes() for name in files
    ]
    assert "![Success of every arm with its interval](pictures/evidence/arms.svg)" in page
