"""Limits of one caller: streams, jobs, calls a minute. Over real sockets, and the accounting alone."""

from __future__ import annotations

from contextlib import ExitStack
from threading import Semaphore
from typing import TYPE_CHECKING

import grpc
import pytest
from google.rpc import error_details_pb2

from engine.testing.fake_engine import FakeEngine
from server.errors.refusals import QuotaExceeded
from server.security.caller import Caller, CallerLimits
from server.security.quotas import Quotas
from stillcue.v1 import capabilities_pb2
from tests.serving import detail, failure_of, generate_request, kinds, read_all, reason, served
from tests.two_callers import SHOP, STUDIO, callers

if TYPE_CHECKING:
    from pathlib import Path

    import grpc.aio


CAPABILITIES = capabilities_pb2.GetCapabilitiesRequest()


def told(error: grpc.aio.AioRpcError) -> tuple[str, str, float]:
    """Quota, its subject and the seconds to wait; the status and the reason must be right."""
    assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert reason(error) == "QUOTA_EXCEEDED"
    info = detail(error, error_details_pb2.ErrorInfo)
    failure = detail(error, error_details_pb2.QuotaFailure)
    retry = detail(error, error_details_pb2.RetryInfo)
    assert info is not None
    assert failure is not None
    assert retry is not None
    assert error.details() == failure.violations[0].description
    return info.metadata["quota"], failure.violations[0].subject, retry.retry_delay.ToNanoseconds() / 1e9


async def test_streams_of_one_caller(tmp_path: Path) -> None:
    gate = Semaphore(0)
    async with served(FakeEngine(gate=gate), callers=callers(tmp_path, "max_streams=1")) as server:
        running = server.stub.Generate(generate_request(), metadata=SHOP)
        assert (await anext(aiter(running))).WhichOneof("event") == "accepted"
        assert told(await failure_of(server.stub.GetCapabilities(CAPABILITIES, metadata=SHOP))) == (
            "max_streams",
            "caller:shop",
            5.0,
        )
        await server.stub.GetCapabilities(CAPABILITIES, metadata=STUDIO)  # nobody else is held up
        gate.release(1_000)
        assert kinds(await read_all(running))[-1] == "summary"
        await server.stub.GetCapabilities(CAPABILITIES, metadata=SHOP)


async def test_jobs_of_one_caller(tmp_path: Path) -> None:
    gate = Semaphore(0)
    engine = FakeEngine(gate=gate)
    async with served(engine, callers=callers(tmp_path, "max_jobs=1")) as server:
        running = server.stub.Generate(generate_request(), metadata=SHOP)
        await anext(aiter(running))
        # Refused before its fields are looked at: the queue of others is not for a caller to probe.
        error = await failure_of(server.stub.Generate(generate_request(prompt=" "), metadata=SHOP))
        assert told(error) == ("max_jobs", "caller:shop", 5.0)
        assert await server.sample("stillcue_jobs_rejected_total{reason=quota_exceeded}") == 1
        await server.stub.GetCapabilities(CAPABILITIES, metadata=SHOP)  # no job
        waiting = server.stub.Generate(generate_request(), metadata=STUDIO)
        await anext(aiter(waiting))
        running.cancel()
        gate.release(1_000)
        assert kinds(await read_all(waiting))[-1] == "summary"
        assert kinds(await read_all(server.stub.Generate(generate_request(), metadata=SHOP)))[-1] == "summary"


async def test_calls_a_minute_of_one_caller_and_of_all_unnamed_ones(tmp_path: Path) -> None:
    async with served(FakeEngine(), callers=callers(tmp_path, "max_requests_per_minute=2")) as server:
        for _ in range(2):
            await server.stub.GetCapabilities(CAPABILITIES, metadata=SHOP)
        quota, subject, seconds = told(await failure_of(server.stub.GetCapabilities(CAPABILITIES, metadata=SHOP)))
        assert (quota, subject) == ("max_requests_per_minute", "caller:shop")
        assert 0 < seconds <= 30
        await server.stub.GetCapabilities(CAPABILITIES, metadata=STUDIO)
    async with served(FakeEngine(), caller_max_requests_per_minute=1) as server:
        await server.stub.GetCapabilities(CAPABILITIES)
        assert told(await failure_of(server.stub.GetCapabilities(CAPABILITIES)))[:2] == (
            "max_requests_per_minute",
            "caller:",
        )


class Clock:
    """Time that a test moves."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


def test_an_allowance_fills_again_evenly_and_never_above_a_minute() -> None:
    clock = Clock()
    quotas = Quotas(clock)
    caller = Caller("shop", CallerLimits(max_requests_per_minute=4))
    waits: list[float] = []

    def passes() -> bool:
        try:
            with quotas.stream(caller):
                return True
        except QuotaExceeded as error:
            waits.append(error.retry_seconds)
            return False

    def calls() -> int:
        """How many pass now, of five."""
        return sum(passes() for _ in range(5))

    assert calls() == 4
    assert calls() == 0  # refused ones take nothing from what fills again
    clock.seconds = 15.0
    assert calls() == 1
    clock.seconds = 45.0
    assert calls() == 2
    clock.seconds = 10_000.0
    assert calls() == 4
    assert waits == pytest.approx([15.0] * len(waits))


def test_what_is_refused_or_fails_takes_no_room() -> None:
    quotas = Quotas()
    caller = Caller("shop", CallerLimits(max_streams=2, max_jobs=1))
    with ExitStack() as inside:
        inside.enter_context(quotas.stream(caller))
        inside.enter_context(quotas.stream(caller))
        for _ in range(3):
            with pytest.raises(QuotaExceeded):
                inside.enter_context(quotas.stream(caller))
        inside.enter_context(quotas.job(caller))
        with pytest.raises(QuotaExceeded):
            inside.enter_context(quotas.job(caller))
    with pytest.raises(RuntimeError), quotas.stream(caller), quotas.job(caller):
        raise RuntimeError
    with quotas.stream(caller), quotas.stream(caller), quotas.job(caller):
        pass


def test_accounts_of_those_who_left_are_closed() -> None:
    clock = Clock()
    quotas = Quotas(clock)
    limits = CallerLimits(max_requests_per_minute=1)
    with quotas.stream(Caller("stays", limits)):
        for number in range(5_000):
            clock.seconds += 1.0
            with quotas.stream(Caller(f"c{number}", limits)):
                pass
        assert len(quotas._usages) <= 1_024
        with pytest.raises(QuotaExceeded), quotas.stream(Caller("c4999", limits)):
            pass
        assert quotas._usages["stays"].stream_count == 1
