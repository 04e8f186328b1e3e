"""``python -m evaluation.pilot``: clips an arm that tell two success rates apart."""

from __future__ import annotations

import numpy as np
import pytest

from evaluation.pilot import clips_per_arm, clips_per_arm_corrected, exact_power, lowest_rate_told_apart, main, power_of


@pytest.mark.parametrize(
    ("first", "second", "power", "clips", "corrected"),
    [
        # By hand: (1.959964 * sqrt(2 * 0.8 * 0.2) + 1.281552 * sqrt(0.0475 + 0.2275))^2 / 0.3^2 = 35.24.
        (0.95, 0.65, 0.9, 36, 42),
        # The help page of R's power.prop.test: p1 = .50, p2 = .75, power = .90 gives n = 76.7.
        (0.50, 0.75, 0.9, 77, 85),
        (0.75, 0.50, 0.9, 77, 85),
    ],
)
def test_clips_per_arm_are_those_of_the_formula(
    first: float, second: float, power: float, clips: int, corrected: int
) -> None:
    assert clips_per_arm(first, second, power=power) == clips
    assert clips_per_arm_corrected(first, second, power=power) == corrected


def test_power_and_difference_are_those_of_r() -> None:
    """Figures of the help page of R's power.prop.test, whose root finder stops within 1e-4."""
    assert power_of(0.50, 0.75, 50) == pytest.approx(0.740, abs=5e-4)
    told = lowest_rate_told_apart(0.5, 50, power=0.9)
    assert told is not None
    assert 1.0 - told == pytest.approx(0.8026141, abs=1e-4)


def test_the_exact_power_is_what_simulated_pilots_show() -> None:
    pilots, clips = 40_000, 36
    random = np.random.default_rng(0)
    first, second = (random.binomial(clips, rate, pilots) / clips for rate in (0.95, 0.65))
    pooled = (first + second) / 2.0
    found = np.abs(first - second) > 1.959964 * np.sqrt(2.0 * pooled * (1.0 - pooled) / clips)
    expected = exact_power(0.95, 0.65, clips)
    assert expected == pytest.approx(0.933, abs=5e-4)
    assert float(found.mean()) == pytest.approx(expected, abs=4.0 * (0.933 * 0.067 / pilots) ** 0.5)


def test_equal_rates_are_told_apart_no_oftener_than_alpha() -> None:
    assert exact_power(0.95, 0.95, 36) <= 0.05


def test_few_clips_tell_no_lower_rate_apart() -> None:
    assert lowest_rate_told_apart(0.05, 20) is None


def test_the_command_prints_the_table(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--from", "0.95", "--to", "0.65"]) == 0
    text = capsys.readouterr().out
    assert "clips an arm: 36; with continuity correction (about Fisher's exact test): 42\n" in text
    assert "exact power of the test with 36: 0.933\n" in text
    assert "         100  0.800\n" in text


@pytest.mark.parametrize(
    ("rates", "fault"),
    [
        (("0.9", "0.9"), "both rates are 0.9; no number of clips tells equal rates apart"),
        (("95", "0.9"), "rate 95 is not between 0 and 1"),
        (("nan", "0.9"), "rate nan is not between 0 and 1"),
    ],
)
def test_rates_that_cannot_be_compared_are_refused(
    rates: tuple[str, str], fault: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["--from", rates[0], "--to", rates[1]])
    assert (stopped.value.code, fault in capsys.readouterr().err) == (2, True)
