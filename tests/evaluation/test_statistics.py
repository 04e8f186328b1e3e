"""Statistics of the report against published and hand-computed values."""

from __future__ import annotations

import math

import numpy as np
import pytest

from evaluation.statistics.area import Clusters
from evaluation.statistics.difference import cohen_h, difference
from evaluation.statistics.share import NOTHING, Share
from evaluation.statistics.significance import fisher_p, holm, mcnemar_p
from export.calibrate.statistics import area_under_curve

# Ratings of 58 normal and 51 abnormal pictures on five grades; their area is 0.893: J. Hanley and B. McNeil, "The
# meaning and use of the area under a receiver operating characteristic (ROC) curve", Radiology 143 (1982), table I.
_NORMAL, _ABNORMAL = (33, 6, 6, 11, 2), (3, 2, 2, 11, 33)


@pytest.mark.parametrize(
    ("first", "second", "low", "high"),
    [
        (Share(56, 70), Share(48, 80), 0.0524, 0.3339),
        (Share(9, 10), Share(3, 10), 0.1705, 0.8090),
        (Share(10, 10), Share(0, 20), 0.6791, 1.0),
        (Share(10, 10), Share(0, 10), 0.6075, 1.0),
    ],
)
def test_the_interval_of_a_difference_is_that_of_newcombes_paper(
    first: Share, second: Share, low: float, high: float
) -> None:
    """Newcombe (1998), table II, method 10."""
    found = difference(first, second)
    assert [found.low, found.high] == pytest.approx([low, high], abs=1e-4)
    assert found.value == pytest.approx(first.rate - second.rate)
    mirrored = difference(second, first)
    assert [mirrored.low, mirrored.high] == pytest.approx([-found.high, -found.low])


def test_cohens_h_is_the_difference_of_arcsines() -> None:
    assert cohen_h(Share(1, 2), Share(1, 4)) == pytest.approx(math.pi / 2 - math.pi / 3)
    assert cohen_h(Share(0, 5), Share(5, 5)) == pytest.approx(-math.pi)


def test_fishers_p_of_the_tea_taster() -> None:
    """R. Fisher, "The design of experiments" (1935): three of four cups told right; two sides hold 34 of 70 tables."""
    assert fisher_p(Share(3, 4), Share(1, 4)) == pytest.approx(34 / 70)
    assert fisher_p(Share(3, 4), NOTHING) == 1.0


def test_mcnemars_p_sums_binomial_coefficients() -> None:
    assert mcnemar_p(9, 1) == pytest.approx(2 * (1 + 10) / 2**10)
    assert mcnemar_p(0, 0) == 1.0


def test_holms_correction_keeps_the_order_and_never_falls() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []


def test_a_share_without_clips_has_no_width() -> None:
    assert NOTHING.interval == (0.0, 1.0)
    assert Share.of(()) == NOTHING
    assert Share(1, 2) + Share(3, 4) == Share(4, 6)


def test_the_area_is_that_of_the_published_example() -> None:
    graded = [(grade, count) for counts in (_NORMAL, _ABNORMAL) for grade, count in enumerate(counts)]
    figures = [float(grade) for grade, count in graded for _ in range(count)]
    labels = [False] * sum(_NORMAL) + [True] * sum(_ABNORMAL)
    area = Clusters(labels, list(map(str, range(len(labels)))), ["all"] * len(labels)).area(figures)
    assert area is not None
    assert area.value == pytest.approx(0.893, abs=5e-4)
    assert area.value == pytest.approx(area_under_curve(np.array(figures), np.array(labels)))
    # Their standard error of the area is 0.032.
    assert (area.high - area.low) / 2 / 1.96 == pytest.approx(0.032, abs=0.004)


def test_clips_of_one_pair_count_as_little_more_than_one() -> None:
    """Ten copies of every clip in its pair leave the interval as wide; as pairs of their own they narrow it."""
    random = np.random.default_rng(5)
    labels = random.random(40) < 0.5
    figures = labels + random.normal(size=40)
    names = [f"pair {index}" for index in range(40)]
    one = Clusters(labels.tolist(), names, ["all"] * 40).area(figures.tolist())
    copies = Clusters(labels.tolist() * 10, names * 10, ["all"] * 400).area(figures.tolist() * 10)
    assert one is not None
    assert copies is not None
    assert [copies.low, copies.high] == pytest.approx([one.low, one.high])
    others = [f"{name} {copy}" for copy in range(10) for name in names]
    apart = Clusters(labels.tolist() * 10, others, ["all"] * 400).area(figures.tolist() * 10)
    assert apart is not None
    assert apart.high - apart.low < 0.5 * (one.high - one.low)


def test_within_arms_only_clips_of_one_arm_are_compared() -> None:
    """In each arm the success leads; over both arms, the failure of arm a leads the success of arm b."""
    clusters = Clusters([True, False, True, False], ["1", "2", "3", "4"], ["a", "a", "b", "b"])
    over, within = clusters.area([4.0, 3.0, 2.0, 1.0]), clusters.area_within([4.0, 3.0, 2.0, 1.0])
    assert over is not None
    assert within is not None
    assert (over.value, within.value) == (0.75, 1.0)


def test_clips_with_one_outcome_have_no_area() -> None:
    clusters = Clusters([True, True], ["1", "2"], ["a", "a"])
    assert clusters.area([0.1, 0.2]) is None
    assert clusters.area_within([0.1, 0.2]) is None
    assert Clusters([True, False], ["1", "2"], ["a", "b"]).area_within([0.1, 0.2]) is None
