"""The prediction of the gain of further attempts, by hand-computed cases."""

from __future__ import annotations

import pytest

from evaluation.attempts import Job, Tried, chosen, if_independent, policy, predicted

_GOOD, _BAD = Tried(0.9, success=True), Tried(0.1, success=False)
_MISJUDGED = Tried(0.95, success=False)


@pytest.mark.parametrize(
    ("attempts", "index"),
    [
        ([_GOOD, _BAD], 0),
        ([_BAD, _GOOD, _GOOD], 1),
        ([Tried(0.2, success=False), Tried(0.4, success=True), Tried(0.3, success=False)], 1),
        ([Tried(0.2, success=False), Tried(0.2, success=True)], 0),
        ([Tried(0.5, success=True), Tried(0.9, success=True)], 0),
    ],
    ids=["first accepted", "second accepted", "none accepted: the best", "equal: the earlier", "at the threshold"],
)
def test_the_accepted_attempt_is_delivered_else_the_best(attempts: list[Tried], index: int) -> None:
    assert chosen(attempts, 0.5) == index
    assert policy(attempts, 0.5) is attempts[index].success


def test_the_prediction_keeps_each_pair_at_its_own_rate() -> None:
    always, never = [_GOOD] * 3, [_BAD] * 3
    mixed = [_GOOD, _BAD, _BAD]
    assert [predicted([always, never], 0.5, count) for count in (1, 2, 3)] == [0.5, 0.5, 0.5]
    assert [predicted([mixed], 0.5, count) for count in (1, 2, 3)] == pytest.approx([1 / 3, 2 / 3, 1.0])


def test_a_misjudged_clip_ends_the_attempts() -> None:
    assert predicted([[_GOOD, _MISJUDGED, _BAD]], 0.5, 3) == pytest.approx(0.5)


def test_independent_attempts_gain_more_than_those_of_pairs_that_always_fail() -> None:
    pairs = [[_GOOD] * 3, [_BAD] * 3]
    assert if_independent(pairs, 0.5, 1) == pytest.approx(0.5)
    assert if_independent(pairs, 0.5, 3) == pytest.approx(1 - 0.5**3)


@pytest.mark.parametrize(
    ("attempts", "delivered", "keeps"),
    [
        ((_BAD, _GOOD), 2, True),
        ((_GOOD, _BAD), 1, False),
        ((_BAD, _GOOD), 1, False),
        ((_BAD, Tried(0.3, success=True)), 2, True),
    ],
    ids=["accepted last", "went on after an accepted one", "delivered a rejected one", "none accepted, best delivered"],
)
def test_a_job_that_breaks_the_rule_is_found(attempts: tuple[Tried, ...], delivered: int, keeps: bool) -> None:
    job = Job(arm="guidance_8", pair=0, accept_from=0.5, attempts=attempts, delivered=delivered)
    assert job.keeps_the_rule is keeps
