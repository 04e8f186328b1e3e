"""Fits on outcomes of clips: arithmetic by hand, held-out figures by another formula."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pytest

from engine.bundle.diagnosis_spec import DiagnosisSpec
from engine.bundle.scorer_spec import FactorSpec, SuccessSpec
from engine.matching.score import logistic
from engine.matching.success import IDEAL, curved
from export.calibrate.clip_fit import accept_from
from export.calibrate.curve import along, fit_curve
from export.calibrate.folds import folds_of
from export.calibrate.held_out import HeldOutFit, fit_held_out
from export.calibrate.logistic import fit_signed_logistic
from export.calibrate.outcomes import Outcome, Outcomes, outcomes_of
from export.calibrate.probability_figures import within_arms
from export.calibrate.statistics import sigmoid, smoothed_targets
from export.calibrate.success_fit import fit_success, prior_chances
from export.calibrate.terms import design_of, signs_of, terms_of
from export.calibrate.thresholds import fit_low_chance, fit_symptom_thresholds
from export.calibrate.verdicts import arm_verdicts
from export.errors import ExportError
from tests.synthetic_outcomes import synthetic_outcomes


def _outcomes(lines: Iterable[Mapping[str, Any]]) -> Outcomes:
    return outcomes_of([Outcome.model_validate(line) for line in lines])


@pytest.fixture(scope="module")
def outcomes() -> Outcomes:
    return _outcomes(synthetic_outcomes())


@pytest.fixture(scope="module")
def fitted(outcomes: Outcomes) -> tuple[SuccessSpec, HeldOutFit]:
    return fit_success(outcomes)


@pytest.fixture(scope="module")
def pair_fit(fitted: tuple[SuccessSpec, HeldOutFit]) -> HeldOutFit:
    return fitted[1]


def test_the_fit_is_the_optimum_under_its_signs() -> None:
    """Conditions of Karush, Kuhn and Tucker: no slope in free weights; at 0, only a slope that the sign forbids."""
    rng = np.random.default_rng(3)
    values = rng.normal(size=(800, 6)) * [1, 10, 0.1, 1, 1, 0] + [0, 5, 0, 0, 0, 2]
    labels = rng.random(800) < sigmoid(1.0 + values[:, 0] - 0.1 * values[:, 1] + 0.5 * values[:, 3])
    signs, penalty = np.array([1, -1, 0, -1, 1, 1]), 2.0
    model = fit_signed_logistic(values, labels, signs, penalty)
    spread = np.where(values.std(axis=0) > 0, values.std(axis=0), 1.0)
    errors = model.chances(values) - smoothed_targets(labels)
    slopes = ((values - values.mean(axis=0)) / spread).T @ errors + penalty * model.weights * spread
    assert abs(errors.sum()) < 1e-2
    assert model.weights[3] == 0.0  # the labels want it positive
    assert model.weights[5] == 0.0  # it does not vary
    assert slopes[3] < -10.0
    assert np.abs(slopes[[0, 1, 2]]).max() < 1e-2
    assert np.all(signs * model.weights >= 0.0)


def test_the_fit_finds_the_weights_that_made_the_outcomes() -> None:
    rng = np.random.default_rng(1)
    values = rng.uniform(0.0, 2.0, (20_000, 2))
    labels = rng.random(20_000) < sigmoid(2.0 + 0.5 * values[:, 0] - 1.5 * values[:, 1])
    model = fit_signed_logistic(values, labels, np.array([1, -1]), 1.0)
    assert [model.offset, *model.weights] == pytest.approx([2.0, 0.5, -1.5], abs=0.1)


def test_the_curve_finds_how_log_odds_were_compressed() -> None:
    rng = np.random.default_rng(2)
    true = rng.uniform(-4.0, 4.0, 20_000)
    curve = fit_curve(true / 2.0, rng.random(20_000) < sigmoid(true))
    assert along(np.array([-1.0, 0.0, 1.0]), curve).tolist() == pytest.approx([-2.0, 0.0, 2.0], abs=0.15)
    assert along(np.array([-9.0, 9.0]), curve).tolist() == [curve[0][1], curve[-1][1]]
    assert [curved(odds, curve) for odds in (-9.0, -0.7, curve[2][0], 9.0)] == pytest.approx(
        along(np.array([-9.0, -0.7, curve[2][0], 9.0]), curve).tolist()
    )
    falling = fit_curve(true, rng.random(20_000) < sigmoid(-true))
    assert all(0.0 < (high[1] - low[1]) <= 0.1001 * (high[0] - low[0]) for low, high in itertools.pairwise(falling))
    assert fit_curve(np.ones(10), np.ones(10, bool)) == ()
    assert curved(1.5, ()) == 1.5


def test_a_fault_has_terms_above_its_knots() -> None:
    lines = synthetic_outcomes()
    for place, line in enumerate(lines):
        line["factors"]["guidance_above"] = float(place % 4)  # above 0: 1, 2, 3 alike often
    outcomes = _outcomes(lines)
    terms = terms_of(outcomes, ("score", "guidance_above", "guidance_below"))
    assert [(item.name, item.above) for item in terms] == [
        ("score", None),
        ("guidance_above", None),
        ("guidance_below", None),
        ("guidance_above", pytest.approx(1.0, abs=0.7)),
        ("guidance_above", pytest.approx(2.0, abs=0.7)),
    ]
    row = design_of(outcomes, [FactorSpec(name="guidance_above", weight=1.0, above=1.25)])[3]
    assert row.tolist() == [1.75]
    assert signs_of([item.name for item in terms]).tolist() == [1, -1, 0, -1, -1]


def test_no_group_is_in_two_folds_and_folds_are_alike() -> None:
    groups = [f"pair {place % 23}" for place in range(200)]
    folds = folds_of(groups)
    by_group = {
        group: {int(fold) for fold, name in zip(folds, groups, strict=True) if name == group} for group in groups
    }
    assert all(len(found) == 1 for found in by_group.values())
    sizes = [sum(found == {fold} for found in by_group.values()) for fold in range(10)]
    assert sorted(sizes) == [2] * 7 + [3] * 3
    assert folds_of(["a", "b"]).max() == 1
    with pytest.raises(ExportError, match="all outcomes are of one group, 'a'"):
        folds_of(["a", "a"])


def test_held_out_chances_are_those_of_the_model_that_did_not_see_the_group(
    outcomes: Outcomes, fitted: tuple[SuccessSpec, HeldOutFit]
) -> None:
    spec, pair_fit = fitted
    for place in range(0, len(outcomes.rows), 17):
        row, fold = outcomes.rows[place], int(pair_fit.folds[place])
        spec_of_fold = pair_fit.fold_odds[fold]
        odds = spec_of_fold.offset
        for item in spec_of_fold.factors:
            value = row.figures[item.name]
            odds += item.weight * (value if item.above is None else max(value - item.above, 0.0))
        before, after = zip(*spec_of_fold.curve, strict=True)
        odds = float(np.interp(odds, before, after))
        assert pair_fit.chances[place] == pytest.approx(1.0 / (1.0 + math.exp(-odds)), abs=1e-9)
        seen = [x.success for x, other in zip(outcomes.rows, pair_fit.folds, strict=True) if other != fold]
        assert pair_fit.base_rates[place] == pytest.approx(sum(seen) / len(seen))
    labels = outcomes.successes
    assert spec.brier_score == pytest.approx(
        sum((chance - label) ** 2 for chance, label in zip(pair_fit.chances, labels, strict=True)) / len(labels)
    )
    bins: dict[int, list[int]] = {}
    for place, chance in enumerate(pair_fit.chances):
        bins.setdefault(min(int(chance * 10), 9), []).append(place)
    distances = [abs(sum(pair_fit.chances[p] - labels[p] for p in places)) for places in bins.values()]
    assert spec.calibration_error == pytest.approx(sum(distances) / len(labels))


def test_the_chance_depends_on_what_made_the_outcomes(outcomes: Outcomes, pair_fit: HeldOutFit) -> None:
    """Action and score change together in the arm of implausible actions; figures that never vary have no weight."""
    used = {item.name for item in pair_fit.odds.factors}
    assert {"guidance_above", "action"} <= used <= {"guidance_above", "action", "score", "coverage_lack", "environment"}
    assert "blockiness" in pair_fit.dropped
    chances = {arm: np.mean([c for c, row in zip(pair_fit.chances, outcomes.rows, strict=True) if row.arm == arm])
               for arm in ("matched", "implausible", "guidance_8")}  # fmt: skip
    assert chances["matched"] == pytest.approx(logistic(3.0, 1.0, 0.0), abs=0.06)
    assert chances["implausible"] == pytest.approx(logistic(0.3, 1.0, 0.0), abs=0.1)
    assert chances["guidance_8"] == pytest.approx(logistic(0.45, 1.0, 0.0), abs=0.1)


def test_weights_never_reward_a_fault(outcomes: Outcomes) -> None:
    names = ("score", "action", "coverage_lack", "guidance_above", "new_content", "last_score", "motion_speed")
    fit = fit_held_out(outcomes, names)
    wanted = dict(zip(names, signs_of(names).tolist(), strict=True))
    for odds in (fit.odds, *fit.fold_odds):
        assert all(item.weight * wanted[item.name] >= 0.0 for item in odds.factors)
        assert all(low < high for (_, low), (_, high) in itertools.pairwise(odds.curve))
    assert fit.chances[outcomes.successes].mean() > fit.chances[~outcomes.successes].mean() + 0.4


def test_the_prior_is_the_published_one_less_the_findings() -> None:
    plain = {"score": 80.0, "success": True}
    faulty = plain | {"factors": {"score": 0.8, "wording_errors": 1.0, "wording_warnings": 2.0}}
    assert prior_chances(_outcomes([plain])).tolist() == pytest.approx([0.95], abs=1e-3)
    assert prior_chances(_outcomes([faulty]))[0] == pytest.approx(logistic(0.8 * 3.876 - 0.156 - 2.5, 1.0, 0.0))


def test_accept_from_rejects_a_twentieth_of_the_good_clips() -> None:
    chances = np.arange(1, 101) / 100.0
    assert accept_from(chances, np.ones(100, bool)) == 0.06  # 5 of 100 lie below
    assert accept_from(chances, chances > 0.5) == 0.53  # 2 of 50
    assert accept_from(np.array([0.99999, 0.2]), np.array([True, False])) == 0.9999  # rounded down


def test_area_within_arms_compares_clips_of_one_arm_and_fold() -> None:
    values = np.array([1.0, 2.0, 3.0, 2.0, 1.0, 9.0])
    labels, arms = np.array([False, True, True, False, True, True]), ["a", "a", "a", "b", "b", "c"]
    assert within_arms(values, labels, arms) == pytest.approx(2 / 3)  # two comparisons in a, one in b
    assert within_arms(values, labels, arms, np.array([0, 0, 1, 0, 0, 0])) == pytest.approx(1 / 2)
    assert within_arms(values[5:], labels[5:], ["c"]) is None


def test_a_verdict_below_the_measured_rate_is_a_defect() -> None:
    arms = ["a"] * 100 + ["b"] * 100 + ["c"] * 10
    successes = np.array([True] * 98 + [False] * 2 + [True] * 50 + [False] * 50 + [True] * 10)
    chances = np.array([0.8] * 100 + [0.7] * 100 + [0.9] * 10)
    is_good = np.array([True] * 200 + [False] * 10)
    first, second = arm_verdicts(arms, is_good, chances, successes)
    assert (first.arm, first.clip_count, first.success_count) == ("a", 100, 98)
    assert first.mean_chance == pytest.approx(0.8)
    assert (first.is_below, first.is_above, second.is_below, second.is_above) == (True, False, False, True)
    assert first.interval == pytest.approx((0.919, 0.995), abs=1e-3)  # with z = 2.241, for two arms at once


def _quiet(count: int) -> dict[str, Any]:
    """Figures of clips without a symptom."""
    values = {
        "largest_change": 0.02, "mean_change": 0.01, "subject_drift": 0.1, "first_score": 1.0, "last_score": 1.0,
        "dynamic_degree": 1.0, "burnt_gain": 0.0, "first_frame_noise": 0.5, "score": 1.0, "action": 1.0,
    }  # fmt: skip
    return {name: np.full(count, value) for name, value in values.items()}


def test_thresholds_by_hand() -> None:
    """200 good clips of matching pairs drift by 0.1, ten failed ones by 0.2: the threshold lies between them."""
    figures, successes = _quiet(210), np.arange(210) < 200
    figures["subject_drift"][200:] = 0.2
    spec = fit_symptom_thresholds(figures, successes, successes)
    assert spec.drift_above == pytest.approx(0.15)
    assert spec.with_changes(drift_above=0.25) == DiagnosisSpec(outcome_count=210)
    figures["subject_drift"][0] = 0.2  # one of 200 is 0.5 %
    assert fit_symptom_thresholds(figures, successes, successes).drift_above == pytest.approx(0.15)
    figures["subject_drift"][1] = 0.2  # two are too many: the default threshold is above all of them
    assert fit_symptom_thresholds(figures, successes, successes).drift_above == 0.25
    figures["subject_drift"][:2] = (0.4, 0.3)  # no threshold tells failed clips, and none may tell these two
    assert fit_symptom_thresholds(figures, successes, successes).drift_above == 0.4


def test_the_threshold_of_a_low_chance_leaves_three_per_cent_false_alarms_in_all() -> None:
    chances, good = np.arange(1, 101) / 100.0, np.ones(100, bool)
    none = np.zeros(100, bool)
    assert fit_low_chance(chances, none, good, good) == 0.04  # 0.01 to 0.03 lie below
    assert fit_low_chance(chances, np.arange(100) < 2, good, good) == 0.04  # two have a symptom already; 0.03 is below
    assert fit_low_chance(chances, np.arange(100) < 4, good, good) is None
    assert fit_low_chance(chances, none, good, none) is None


def test_every_figure_has_a_side_or_is_free() -> None:
    assert set(signs_of(tuple(IDEAL)).tolist()) == {-1, 0, 1}
