"""Quotas of callers, by a clock that the test moves: streams, jobs, requests per minute, and what is forgotten."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

from server.errors.refusals import QuotaExceeded
from server.security.caller import Caller, CallerLimits
from server.security.quotas import Quotas
from tests.jobs.scripted import Clock

if TYPE_CHECKING:
    from contextlib import AbstractContextManager


def refusal_of(entering: AbstractContextManager[None]) -> tuple[Any, ...]:
    """Caller, quota, limit and the seconds to wait."""
    with pytest.raises(QuotaExceeded) as raised, entering:
        pass
    error = raised.value
    return error.caller_name, error.quota, error.limit, error.retry_seconds


def test_a_caller_has_at_most_so_many_streams_at_the_same_time() -> None:
    quotas, shop = Quotas(Clock()), Caller("shop", CallerLimits(max_streams=2))
    with ExitStack() as first, ExitStack() as second:
        first.enter_context(quotas.stream(shop))
        second.enter_context(quotas.stream(shop))
        assert refusal_of(quotas.stream(shop)) == ("shop", "max_streams", 2, 5.0)
        assert refusal_of(quotas.stream(shop)) == ("shop", "max_streams", 2, 5.0)  # a refused call is not counted
        with quotas.stream(Caller("studio", CallerLimits(max_streams=1))):
            pass
        first.close()
        with quotas.stream(shop):
            assert refusal_of(quotas.stream(shop)) == ("shop", "max_streams", 2, 5.0)


def test_a_call_that_ends_another_stream_may_exceed_their_number() -> None:
    quotas, shop = Quotas(Clock()), Caller("shop", CallerLimits(max_streams=1))
    with quotas.stream(shop), quotas.stream(shop, may_exceed=True), quotas.stream(shop, may_exceed=True):
        assert refusal_of(quotas.stream(shop, may_exceed=False)) == ("shop", "max_streams", 1, 5.0)
    with quotas.stream(shop):
        pass


def test_a_caller_has_at_most_so_many_jobs_at_the_same_time() -> None:
    quotas, shop = Quotas(Clock()), Caller("shop", CallerLimits(max_jobs=2))
    with ExitStack() as first, ExitStack() as second:
        first.enter_context(quotas.job(shop))
        second.enter_context(quotas.job(shop))
        assert refusal_of(quotas.job(shop)) == ("shop", "max_jobs", 2, 5.0)
        assert refusal_of(quotas.job(shop)) == ("shop", "max_jobs", 2, 5.0)
        first.close()
        with quotas.job(shop):
            assert refusal_of(quotas.job(shop)) == ("shop", "max_jobs", 2, 5.0)


def test_streams_and_jobs_are_counted_apart() -> None:
    quotas, shop = Quotas(Clock()), Caller("shop", CallerLimits(max_streams=1, max_jobs=1))
    with quotas.stream(shop), quotas.job(shop):
        assert refusal_of(quotas.stream(shop))[1] == "max_streams"
        assert refusal_of(quotas.job(shop))[1] == "max_jobs"


def test_streams_and_jobs_that_fail_are_counted_no_longer() -> None:
    quotas, shop = Quotas(Clock()), Caller("shop", CallerLimits(max_streams=1, max_jobs=1))
    for _ in range(2):
        with pytest.raises(RuntimeError), quotas.stream(shop), quotas.job(shop):
            raise RuntimeError


def test_limits_of_zero_are_no_limits() -> None:
    quotas, shop = Quotas(Clock()), Caller("shop")
    with ExitStack() as inside:
        for _ in range(10):
            inside.enter_context(quotas.stream(shop))
            inside.enter_context(quotas.job(shop))


def test_the_requests_of_a_minute_may_come_at_once_and_refill_evenly() -> None:
    clock = Clock(1_000.0)
    quotas, shop = Quotas(clock), Caller("shop", CallerLimits(max_requests_per_minute=4))
    for _ in range(4):
        with quotas.stream(shop):
            pass
    assert refusal_of(quotas.stream(shop)) == ("shop", "max_requests_per_minute", 4, 15.0)
    clock.seconds += 6.0
    assert refusal_of(quotas.stream(shop)) == ("shop", "max_requests_per_minute", 4, pytest.approx(9.0))
    clock.seconds += 6.0
    assert refusal_of(quotas.stream(shop))[3] == pytest.approx(3.0)
    clock.seconds += 3.0 + 1e-9
    with quotas.stream(shop):
        pass
    assert refusal_of(quotas.stream(shop))[3] == pytest.approx(15.0)
    clock.seconds += 30.0 + 1e-6
    for _ in range(2):
        with quotas.stream(shop):
            pass
    assert refusal_of(quotas.stream(shop))[3] == pytest.approx(15.0, rel=1e-5)


def test_exactly_one_request_of_allowance_is_enough() -> None:
    clock = Clock()
    quotas, shop = Quotas(clock), Caller("shop", CallerLimits(max_requests_per_minute=1))
    for _ in range(3):
        with quotas.stream(shop):
            pass
        clock.seconds += 60.0


def test_an_allowance_never_exceeds_the_requests_of_a_minute() -> None:
    clock = Clock()
    quotas, shop = Quotas(clock), Caller("shop", CallerLimits(max_requests_per_minute=2))
    for _ in range(2):
        clock.seconds += 10_000.0
        for _ in range(2):
            with quotas.stream(shop):
                pass
        assert refusal_of(quotas.stream(shop))[1] == "max_requests_per_minute"


def test_a_stream_over_the_limit_takes_no_request() -> None:
    quotas, shop = Quotas(Clock()), Caller("shop", CallerLimits(max_streams=1, max_requests_per_minute=2))
    with quotas.stream(shop):
        assert refusal_of(quotas.stream(shop))[1] == "max_streams"
    with quotas.stream(shop):
        pass


def test_a_request_over_the_limit_is_no_stream() -> None:
    clock = Clock()
    quotas, shop = Quotas(clock), Caller("shop", CallerLimits(max_streams=1, max_requests_per_minute=1))
    with quotas.stream(shop):
        pass
    assert refusal_of(quotas.stream(shop))[1] == "max_requests_per_minute"
    clock.seconds += 60.0
    with quotas.stream(shop):
        pass


def test_callers_are_kept_apart_and_one_name_is_one_caller() -> None:
    quotas = Quotas(Clock())
    limits = CallerLimits(max_requests_per_minute=1)
    with quotas.stream(Caller("shop", limits)):
        pass
    assert refusal_of(quotas.stream(Caller("shop", limits)))[0] == "shop"
    with quotas.stream(Caller("studio", limits)):
        pass


def known_callers(quotas: Quotas) -> set[str]:
    return set(quotas._usages)


def test_callers_without_calls_in_the_last_minute_are_forgotten_once_there_are_a_thousand() -> None:
    clock = Clock(1_000.0)
    quotas = Quotas(clock)
    limits = CallerLimits(max_requests_per_minute=1)

    def call(name: str) -> None:
        with quotas.stream(Caller(name, limits)):
            pass

    with quotas.stream(Caller("streams", limits)), quotas.job(Caller("works", limits)):
        for number in range(1_020):
            call(str(number))
        clock.seconds += 1.0
        call("recent")
        assert len(known_callers(quotas)) == 1_023
        clock.seconds += 59.0
        call("thousandth")
        assert len(known_callers(quotas)) == 1_024  # the next new caller makes room
        call("new")
        assert known_callers(quotas) == {"streams", "works", "recent", "thousandth", "new"}
    for name in ("recent", "thousandth", "new"):
        assert refusal_of(quotas.stream(Caller(name, limits)))[1] == "max_requests_per_minute"


def test_a_known_caller_makes_no_room() -> None:
    clock = Clock()
    quotas = Quotas(clock)
    for number in range(1_024):
        with quotas.stream(Caller(str(number))):
            pass
    clock.seconds += 120.0
    with quotas.stream(Caller("7")):
        pass
    assert len(known_callers(quotas)) == 1_024
