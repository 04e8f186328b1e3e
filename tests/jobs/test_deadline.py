"""The deadline of a call: what a cancel means, what is refused, and how far times are cut."""

from __future__ import annotations

import pytest

from engine.api.errors import Cancelled
from server.errors.refusals import DeadlinePassed, DeadlineTooShort
from server.jobs.deadline import Deadline
from server.jobs.estimates import Estimate


class Call:
    """A call whose remaining time the test sets."""

    def __init__(self, seconds: float | None) -> None:
        self.seconds = seconds
        self.deadline = Deadline(lambda: self.seconds)


def test_the_remaining_time_is_that_of_the_moment() -> None:
    call = Call(5.0)
    assert call.deadline.remaining_seconds == 5.0
    call.seconds = 3.0
    assert call.deadline.remaining_seconds == 3.0
    assert Call(None).deadline.remaining_seconds is None


@pytest.mark.parametrize(
    ("timeout_seconds", "remaining_seconds", "is_passed"),
    [
        (1.0, 0.0, True),
        (1.0, -1.0, True),
        (1.0, 0.1, True),  # at least a tenth of a second
        (1.0, 0.11, False),
        (100.0, 2.0, True),  # two hundredths of a longer timeout, as gRPC rounds it
        (100.0, 2.01, False),
        (100.0, 100.0, False),
        (None, None, False),
    ],
)
def test_a_call_that_ends_shortly_before_its_deadline_ended_by_the_deadline(
    timeout_seconds: float | None, remaining_seconds: float | None, is_passed: bool
) -> None:
    call = Call(timeout_seconds)
    call.seconds = remaining_seconds
    cause = call.deadline.cause_of_cancel
    assert isinstance(cause, DeadlinePassed if is_passed else Cancelled)
    if not is_passed:
        assert str(cause) == "the caller cancelled the call"


@pytest.mark.parametrize(("seconds", "is_passed"), [(None, False), (0.001, False), (0.0, True), (-1.0, True)])
def test_a_call_without_time_left_is_refused(seconds: float | None, is_passed: bool) -> None:
    deadline = Call(seconds).deadline
    if is_passed:
        with pytest.raises(DeadlinePassed):
            deadline.check()
    else:
        deadline.check()


@pytest.mark.parametrize(
    ("remaining_seconds", "wait_seconds", "estimate"),
    [
        (10.0, 4.0, Estimate(6.0, is_trusted=True)),  # just enough
        (10.0, None, Estimate(10.0, is_trusted=True)),
        (10.0, 4.0, Estimate(7.0, is_trusted=False)),
        (10.0, 4.0, Estimate(None, is_trusted=True)),
        (None, 4.0, Estimate(7.0, is_trusted=True)),
    ],
)
def test_a_job_with_time_enough_or_without_a_trusted_estimate_is_taken(
    remaining_seconds: float | None, wait_seconds: float | None, estimate: Estimate
) -> None:
    Call(remaining_seconds).deadline.check_estimate(estimate, wait_seconds)


@pytest.mark.parametrize(("wait_seconds", "stated_seconds"), [(4.0, 4.0), (None, 0.0)])
def test_a_job_that_a_trusted_estimate_makes_too_late_is_refused_with_its_times(
    wait_seconds: float | None, stated_seconds: float
) -> None:
    with pytest.raises(DeadlineTooShort) as raised:
        Call(10.0).deadline.check_estimate(Estimate(10.5, is_trusted=True), wait_seconds)
    error = raised.value
    assert (error.remaining_seconds, error.wait_seconds, error.work_seconds) == (10.0, stated_seconds, 10.5)


def test_a_time_is_cut_to_the_deadline() -> None:
    assert Call(10.0).deadline.shorten(60.0) == 10.0
    assert Call(10.0).deadline.shorten(5.0) == 5.0
    assert Call(None).deadline.shorten(60.0) == 60.0
