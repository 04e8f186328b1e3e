"""Promises under load and signals, checked by exact counts."""

from __future__ import annotations

import asyncio
import signal
import statistics
import time
import uuid
from threading import Semaphore
from typing import TYPE_CHECKING, Any

import grpc
import grpc.aio
from google.rpc import error_details_pb2

from engine.testing.fake_engine import FakeEngine
from stillcue.v1 import generate_pb2
from tests.fake_job import GRAPH_CALL_COUNT
from tests.server_processes import FREE_PORTS, line_of, start_process
from tests.serving import (
    PATIENCE_SECONDS,
    Served,
    detail,
    failure_of,
    generate_request,
    kinds,
    read_all,
    reason,
    served,
    stub_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable


def fresh_request() -> generate_pb2.GenerateRequest:
    """A job of its own."""
    return generate_request(request_id=str(uuid.uuid4()))


async def test_ten_times_the_load_is_refused_and_what_was_accepted_is_finished(
    promise: Callable[[str, str], None],
) -> None:
    gate = Semaphore(0)
    engine = FakeEngine(gate=gate)

    async def refusal(server: Served) -> tuple[grpc.aio.AioRpcError, float]:
        started = time.perf_counter()
        return await failure_of(server.stub.Generate(fresh_request())), time.perf_counter() - started

    async with served(engine, queue_capacity=9) as server:
        held = [server.stub.Generate(fresh_request()) for _ in range(10)]
        for call in held:
            await anext(aiter(call))
        one_by_one = [await refusal(server) for _ in range(10)]
        at_once = await asyncio.gather(*(refusal(server) for _ in range(80)))
        refused = [error for error, _ in (*one_by_one, *at_once)]
        assert {(error.code(), reason(error)) for error in refused} == {
            (grpc.StatusCode.RESOURCE_EXHAUSTED, "QUEUE_FULL")
        }
        retries = [detail(error, error_details_pb2.RetryInfo) for error in refused]
        assert all(retry is not None and retry.retry_delay.ToMilliseconds() > 0 for retry in retries)
        assert await server.sample("stillcue_jobs_rejected_total{reason=queue_full}") == 90
        assert engine.graph_calls == []
        gate.release(10 * GRAPH_CALL_COUNT)
        for call in held:
            assert kinds(await read_all(call))[-1] == "summary"
        assert await server.sample("stillcue_jobs_total{outcome=completed}") == 10
    single = statistics.median(seconds for _, seconds in one_by_one)
    slowest = max(seconds for _, seconds in at_once)
    promise(
        "overload",
        f"90 of 90 refused with RetryInfo, one by one in {1000 * single:.0f} ms (median), 80 at once in "
        f"{1000 * slowest:.0f} ms (the last); 10 of 10 finished",
    )


async def test_sigterm_under_load_loses_no_job(promise: Callable[[str, str], None]) -> None:
    process = await start_process("-m", "server", "--engine", "fake", "--queue-capacity", "4", *FREE_PORTS)
    ready = (await line_of(process.stdout)).split(" ")
    ends: list[str] = []
    refused_at: list[float] = []
    is_loaded = asyncio.Event()

    async def caller(channel: grpc.aio.Channel) -> None:
        """Sends one job after the other until the server says that it is leaving, or is gone."""
        while True:
            messages: list[Any] = []
            try:
                async for message in stub_of(channel).Generate(fresh_request()):
                    messages.append(message)  # noqa: PERF401  those before an error count
            except grpc.aio.AioRpcError as error:
                refused_at.append(time.perf_counter())
                ends.append(f"{'accepted' if messages else 'new'} {error_reason(error)}")
                return
            assert kinds(messages)[-1] == "summary"
            assert kinds(messages).count("frame") == 9
            ends.append("completed")
            if len(ends) >= 20:
                is_loaded.set()

    async with grpc.aio.insecure_channel(dict(word.split("=") for word in ready[2:])["grpc"]) as channel:
        callers = [asyncio.create_task(caller(channel)) for _ in range(5)]
        await asyncio.wait_for(is_loaded.wait(), PATIENCE_SECONDS)
        stopped_at = time.perf_counter()
        process.send_signal(signal.SIGTERM)
        await asyncio.wait_for(asyncio.gather(*callers), PATIENCE_SECONDS)
        _, log = await asyncio.wait_for(process.communicate(), PATIENCE_SECONDS)
    assert process.returncode == 0
    assert b"Traceback" not in log
    completed = ends.count("completed")
    told = [end for end in ends if end != "completed"]
    # Whoever waited is told; whoever comes later is told, or finds the port closed.
    assert len(told) == 5
    assert set(told) <= {"accepted SERVER_DRAINING", "new SERVER_DRAINING", "new connection closed"}
    promise(
        "drain",
        f"0 accepted jobs lost of {len(ends)} calls: {completed} finished, "
        f"{5 - told.count('new connection closed')} of 5 told, the first after "
        f"{1000 * (min(refused_at) - stopped_at):.0f} ms, the others found the port closed; exit status 0",
    )


def error_reason(error: grpc.aio.AioRpcError) -> str:
    metadata: Any = error.trailing_metadata() or ()
    if any(key == "grpc-status-details-bin" for key, _ in metadata):
        return reason(error)
    # gRPC itself: the port is closed already, or closes while a call arrives that no handler has seen.
    assert error.code() in {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED}
    return "connection closed"
