"""Single sections for other runs: without truth, without failures, without clips, with too few for a fit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from evaluation.errors import EvaluationError
from evaluation.plan.model import Arm
from evaluation.plan.reading import PLAN_NAME
from evaluation.record import CLIPS_NAME, ClipRecord
from evaluation.report.comparison import compare_arms
from evaluation.report.drawing.areas import KINDS
from evaluation.report.evidence import Evidence
from evaluation.report.fits import Fits, fit
from evaluation.report.remedy_effect import remedy_effects
from evaluation.report.sections.advice import Verdict, advice_section, verdict_of
from evaluation.report.sections.arms import arms_section
from evaluation.report.sections.chance import chance_section
from evaluation.report.sections.claim import claim_section, claim_sentence
from evaluation.report.sections.curves import guidance_section, steps_section
from evaluation.report.sections.diagnosis import diagnosis_section
from evaluation.report.sections.metrics import metrics_section
from evaluation.report.sections.pictures import pictures_section
from evaluation.report.sections.remedies import remedies_section
from evaluation.side_files import ATTEMPTS_NAME, EXAMPLES_NAME
from evaluation.statistics.difference import Difference
from evaluation.statistics.share import Share
from tests.evaluation.measured_run import MATCHED, clip, clips, evidence_of, rows_of, write_json, write_run

_WRONG = Arm(id="wrong", group="sentence", title="wrong subject", right_remedy="match", advice="match")


def _claim(folder: Path, matched: tuple[int, int], wrong: tuple[int, int]) -> str:
    evidence = evidence_of(folder, [MATCHED, _WRONG], [*clips("matched", *matched), *clips("wrong", *wrong)])
    return claim_sentence(evidence, compare_arms(evidence))


@pytest.mark.parametrize(
    ("matched", "wrong", "words"),
    [
        ((95, 100), (65, 100), "a mismatch harms, and the interval includes part of the article's 25 to 35 points"),
        ((98, 100), (88, 100), "a mismatch harms, but less than the article's 25 to 35 points"),
        ((98, 100), (20, 100), "a mismatch harms more than the article's 25 to 35 points"),
        ((98, 100), (97, 100), "no harm of a mismatch can be shown, and the article's 25 to 35 points are excluded"),
        ((5, 5), (4, 5), "these clips cannot tell whether a mismatch harms, nor exclude the article's 25 to 35 points"),
        ((50, 100), (95, 100), "mismatched pairs succeed more often, and the article's claim of 25 to 35 points fails"),
        ((100, 100), (0, 0), "clips of matched or of mismatched pairs are missing"),
    ],
    ids=["as claimed", "less", "more", "none", "cannot tell", "reversed", "no clips"],
)
def test_the_claim_follows_from_the_figures(
    tmp_path: Path, matched: tuple[int, int], wrong: tuple[int, int], words: str
) -> None:
    assert words in _claim(tmp_path / "run", matched, wrong)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [((50, 100), "Every kind (wrong subject) is"), ((97, 100), "None of the kinds (wrong subject) is")],
    ids=["worse", "as good"],
)
def test_the_claim_names_the_kinds_that_are_worse(tmp_path: Path, wrong: tuple[int, int], words: str) -> None:
    assert words in _claim(tmp_path / "run", (98, 100), wrong)


@pytest.mark.parametrize(
    ("gains", "verdict"),
    [
        ([(0.3, 0.2, 0.4, True)], Verdict.HOLDS),
        ([(0.0, -0.1, 0.1, False), (0.3, 0.2, 0.4, True)], Verdict.HOLDS),
        ([(0.0, -0.1, 0.09, False)], Verdict.FAILS),
        ([(-0.3, -0.4, -0.2, False)], Verdict.FAILS),
        ([(0.0, -0.1, 0.09, False), (0.05, -0.1, 0.2, False)], Verdict.UNTOLD),
        ([], Verdict.UNTOLD),
    ],
    ids=["significant", "one of two", "small", "harmful", "one wide", "no figure"],
)
def test_the_verdict_of_an_advice(gains: list[tuple[float, float, float, bool]], verdict: Verdict) -> None:
    assert verdict_of([(Difference(*numbers), significant) for *numbers, significant in gains]) is verdict


def test_an_advice_that_the_article_does_not_give_has_a_row(tmp_path: Path) -> None:
    arm = Arm(id="blurred", group="picture", title="blurred", advice="sharp_picture")
    evidence = evidence_of(tmp_path / "run", [MATCHED, arm], [*clips("matched", 99, 100), *clips("blurred", 10, 100)])
    text = advice_section(evidence, compare_arms(evidence), []).text
    assert rows_of(text)["sharp_picture"] == ["holds", "blurred: **+89 (+80 to +94)**", ""]


def _noisy(arm: str, count: int, chance: float, seed: int) -> list[ClipRecord]:
    """Clips with two figures that tell their outcome: the pair's action, and the drift of the clip."""
    random = np.random.default_rng(seed)
    made = []
    for index in range(count):
        good = bool(random.random() < chance)
        figures = {
            "action": float(np.clip(chance + 0.1 * random.normal(), 0, 1)),
            "subject_drift": abs(float(random.normal(0.05 if good else 0.3, 0.1))),
            "largest_change": float(random.random()),
        }
        made.append(clip(arm, index, subject=good, factors=figures))
    return made


@pytest.fixture(scope="module")
def noisy(tmp_path_factory: pytest.TempPathFactory) -> Evidence:
    folder = tmp_path_factory.mktemp("runs") / "noisy"
    return evidence_of(folder, [MATCHED, _WRONG], [*_noisy("matched", 150, 0.9, 1), *_noisy("wrong", 150, 0.3, 2)])


@pytest.fixture(scope="module")
def fits(noisy: Evidence) -> Fits:
    fitted = fit(noisy)
    assert fitted is not None
    return fitted


def test_areas_tell_which_figures_know_the_outcome(noisy: Evidence, fits: Fits) -> None:
    text = metrics_section(noisy, fits).text
    areas = {
        name.strip("*`"): [float(cell.split()[0]) for cell in cells[1:]]
        for name, cells in rows_of(text).items()
        if cells[0] in KINDS
    }
    assert areas["subject_drift"][0] > 0.9
    assert areas["action"][0] > 0.75
    assert 0.35 < areas["action"][1] < 0.65  # within an arm, the action says nothing
    assert areas["all figures"][0] > areas["figures before the clip"][0] > 0.7
    assert 0.4 < areas["largest_change"][0] < 0.6
    assert "score" not in areas  # equal for all clips
    assert "it reaches the wanted 0.85" in text


def test_the_fit_is_better_calibrated_than_the_prior(noisy: Evidence, fits: Fits) -> None:
    rows = rows_of(chance_section(noisy, fits).text)
    fitted, prior = rows["fitted here, held out by pair"], rows["the article's prior"]
    assert float(fitted[0]) < float(rows["the base rate for all"][0]) < float(prior[0])
    assert float(fitted[1]) < 0.1 < float(prior[1])


def test_the_refitted_diagnosis_stands_beside_the_one_that_was_told(noisy: Evidence, fits: Fits) -> None:
    rows = rows_of(diagnosis_section(noisy, fits).text)
    # No clip was told a symptom; drift and a low chance tell most of the failed ones.
    told, refitted, _ = rows["failed clips without a symptom (misses)"]
    assert told.startswith("100 %")
    assert float(refitted.split()[0]) < 40


def test_few_clips_are_not_fitted(tmp_path: Path) -> None:
    evidence = evidence_of(tmp_path / "run", [MATCHED, _WRONG], [*clips("matched", 50, 50), *clips("wrong", 10, 50)])
    assert fit(evidence) is None
    assert "The combinations were not fitted" in metrics_section(evidence, None).text
    assert "fitted here" not in chance_section(evidence, None).text


def test_arms_without_failures_and_with_one_outcome(tmp_path: Path) -> None:
    evidence = evidence_of(tmp_path / "run", [MATCHED, _WRONG], [*clips("matched", 3, 3), *clips("wrong", 3, 3)])
    assert "all clips have the same outcome" in metrics_section(evidence, None).text
    assert rows_of(diagnosis_section(evidence, None).text)["wrong subject"] == ["match", "0", "–", "–", "0 % (0 to 56)"]
    assert "no failed clip was made again" in remedies_section(evidence, remedy_effects(evidence)).text


def test_sections_without_their_arms_say_what_is_missing(tmp_path: Path) -> None:
    evidence = evidence_of(tmp_path / "run", [MATCHED], clips("matched", 2, 3))
    sections = [
        claim_section(evidence),
        guidance_section(evidence),
        steps_section(evidence),
        pictures_section(evidence, {}),
        diagnosis_section(evidence, None),
    ]
    assert [section.text.startswith("Not measured: ") for section in sections] == [True] * 5
    assert [section.pictures for section in sections] == [()] * 5
    assert "for the 0 comparisons" in arms_section(evidence, compare_arms(evidence)).text


def test_clips_without_truth_are_judged_by_thresholds_and_their_figures_are_not_judged_by_them(tmp_path: Path) -> None:
    drifting = [{"subject_drift": 0.4}, {"subject_drift": 0.01}]
    records = [clip("matched", i, truth=None, factors={"subject_drift": 0.001 * i}) for i in range(40)]
    records += [clip("wrong", i, truth=None, factors=drifting[i % 2]) for i in range(40)]
    evidence = evidence_of(tmp_path / "run", [MATCHED, _WRONG], records)
    assert evidence.labels.source == "thresholds"
    assert evidence.success("wrong") == Share(20, 40)
    assert rows_of(claim_section(evidence).text)["subject stable"][1] == "–"
    assert "thresholds on these same figures" in metrics_section(evidence, None).text


def _refusal(folder: Path) -> str:
    with pytest.raises(EvaluationError) as refused:
        Evidence.read(folder)
    return str(refused.value)


def test_folders_that_hold_no_run_are_refused(tmp_path: Path) -> None:
    assert "run `python -m evaluation run`" in _refusal(tmp_path)
    folder = write_run(tmp_path / "run", [MATCHED], [])
    assert f"{folder / CLIPS_NAME} has no clips yet" in _refusal(folder)
    (folder / CLIPS_NAME).unlink()
    assert f"cannot read {folder / CLIPS_NAME}" in _refusal(folder)


def test_damaged_files_are_refused_by_name(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run", [MATCHED], [clip("matched", 0), clip("other", 0)])
    assert "the plan beside it has no arm 'other'" in _refusal(folder)
    (folder / CLIPS_NAME).write_text('{"arm": "matched"}\n', encoding="utf-8")
    assert "line 1: settings: Field required" in _refusal(folder)
    (folder / PLAN_NAME).write_text("{", encoding="utf-8")
    assert PLAN_NAME in _refusal(folder)


@pytest.mark.parametrize("name", [EXAMPLES_NAME, ATTEMPTS_NAME])
def test_damaged_files_beside_the_clips_are_refused_by_name(tmp_path: Path, name: str) -> None:
    folder = write_run(tmp_path / "run", [MATCHED], clips("matched", 2, 2))
    write_json(folder / name, [{}])
    assert _refusal(folder).startswith(f"{folder / name}: 0.")
