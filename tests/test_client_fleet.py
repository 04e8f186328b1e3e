"""Both clients in a fleet: the job of a server that is gone goes on elsewhere; calls name their server; refused calls
are repeated."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from threading import Semaphore
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from google.rpc import error_details_pb2

import stillcue
from engine.testing.fake_engine import FAKE_CAPABILITIES, FakeEngine
from server.jobs.replica import replica_key
from stillcue.busy import BusyPolicy, BusyRetries
from stillcue.errors import ErrorDetails
from stillcue.v1 import generate_pb2
from tests.fake_job import EVENT_COUNT
from tests.relay import Relay
from tests.scripted_server import Response, ScriptedServer, accepted, refuse, seconds, serving, summary
from tests.serving import PATIENCE_SECONDS, PROMPT, png, served

if TYPE_CHECKING:
    from collections.abc import Iterator

OPTIONS: stillcue.GenerateOptions = {"frame_encoding": stillcue.FrameEncoding.RAW_RGB}
KEY = replica_key("gpu-1")


def frames_of(events: list[stillcue.Event]) -> list[bytes]:
    return [event.data for event in events if isinstance(event, stillcue.Frame)]


def check_clip(events: list[stillcue.Event]) -> None:
    assert len(events) == EVENT_COUNT
    assert isinstance(events[0], stillcue.Accepted)
    seed = events[0].settings.seed
    assert frames_of(events) == [bytes(((seed + n) % 256, n, len(PROMPT))) * 32 * 32 for n in range(9)]
    assert isinstance(events[-1], stillcue.Summary)


@pytest.mark.parametrize(("call_count", "event_count"), [(0, 2), (3, 6), (7, 11), (9, 16)])
async def test_the_asynchronous_client_goes_on_at_another_server(call_count: int, event_count: int) -> None:
    """The first server makes so many graph calls, which give so many events."""
    async with (
        served(FakeEngine(gate=Semaphore(call_count)), replica="gpu-1") as first,
        served(FakeEngine(), replica="gpu-2") as second,
    ):
        with Relay(first.port) as relay:
            async with stillcue.AsyncClient(relay.target) as client, asyncio.timeout(2 * PATIENCE_SECONDS):
                stream = client.generate(png(), PROMPT, **OPTIONS)
                events = [await anext(stream) for _ in range(event_count)]
                relay.move_to(second.port)
                relay.cut()
                events += [event async for event in stream]
        check_clip(events)
        assert await second.sample("stillcue_jobs_repeated_total") == 1


async def test_the_synchronous_client_goes_on_at_another_server() -> None:
    gated = FakeEngine(gate=Semaphore(4))
    async with served(gated, replica="gpu-1") as first, served(FakeEngine(), replica="gpu-2") as second:

        def read() -> list[stillcue.Event]:
            with Relay(first.port) as relay, stillcue.Client(relay.target) as client:
                stream = client.generate(png(), PROMPT, **OPTIONS)
                events = [next(stream) for _ in range(7)]
                relay.move_to(second.port)
                relay.cut()
                return events + list(stream)

        check_clip(await asyncio.wait_for(asyncio.to_thread(read), 2 * PATIENCE_SECONDS))


async def test_another_bundle_ends_the_stream_with_the_reason() -> None:
    other = FakeEngine(capabilities=replace(FAKE_CAPABILITIES, bundle_digest="2" * 64))
    async with served(FakeEngine(gate=Semaphore(4)), replica="gpu-1") as first, served(other) as second:
        with Relay(first.port) as relay:
            async with stillcue.AsyncClient(relay.target) as client:
                stream = client.generate(png(), PROMPT, **OPTIONS)
                await anext(stream)
                relay.move_to(second.port)
                relay.cut()
                with pytest.raises(stillcue.ResumeFailed, match="another bundle, device, default or version") as caught:
                    async for _ in stream:
                        pass
    assert caught.value.reason == "REPLICA_DIFFERS"


async def test_a_draining_server_hands_its_waiting_job_on() -> None:
    gate = Semaphore(0)
    async with (
        served(FakeEngine(gate=gate), replica="gpu-1", drain_grace_seconds=60.0) as first,
        served(FakeEngine(), replica="gpu-2") as second,
    ):
        with Relay(first.port) as relay:
            async with stillcue.AsyncClient(relay.target) as client, asyncio.timeout(2 * PATIENCE_SECONDS):
                running = client.generate(png(), PROMPT, **OPTIONS)
                await anext(running)
                await first.reaches("stillcue_running_jobs", 1)
                waiting = client.generate(png(), PROMPT, **OPTIONS)
                events = [await anext(waiting), await anext(waiting)]
                relay.move_to(second.port)
                draining = asyncio.create_task(first.server.drain(asyncio.Event()))
                await first.reaches("stillcue_queue_jobs", 0)
                relay.cut()
                gate.release(100)
                events += [event async for event in waiting]
                check_clip([event for event in events if not isinstance(event, stillcue.QueueUpdate)])
                await draining


# The name of the server


def opening(request: generate_pb2.GenerateRequest) -> Response:
    first: Any = accepted(request)
    first.accepted.resume_window.CopyFrom(seconds(30))
    first.resume_token = f"{KEY}.token-0"
    return first


def replica_of(context: Any) -> str | None:
    return dict(context.invocation_metadata()).get("stillcue-replica")


def test_a_call_that_resumes_and_one_that_cancels_name_the_server() -> None:
    seen: list[str | None] = []

    def script(request: generate_pb2.GenerateRequest, context: Any) -> Iterator[Response]:
        seen.append(replica_of(context))
        if not request.resume_token:
            yield opening(request)
            refuse(context, grpc.StatusCode.UNAVAILABLE, "broken")
        last = summary(request)
        last.sequence_number = 1
        yield last

    with serving(ScriptedServer(generate=script)) as server, stillcue.Client(server.target) as client:
        assert len(list(client.generate(b"a picture", "A boat."))) == 2
    assert seen == [None, KEY]
    requests: list[Any] = list(server.requests)
    assert [request.resume_token for request in requests] == ["", f"{KEY}.token-0"]


def test_the_whole_request_names_no_server_so_that_it_gets_a_place_in_the_queue() -> None:
    seen: list[str | None] = []

    def script(request: generate_pb2.GenerateRequest, context: Any) -> Iterator[Response]:
        seen.append(replica_of(context))
        if not request.resume_token:
            yield opening(request)
            refuse(context, grpc.StatusCode.UNAVAILABLE, "broken")
        if not request.prompt:
            info = error_details_pb2.ErrorInfo(
                reason="JOB_NOT_FOUND", domain="stillcue", metadata={"can_repeat": "true"}
            )
            refuse(context, grpc.StatusCode.NOT_FOUND, "began elsewhere", info)
        last = summary(request)
        last.sequence_number = 1
        yield last

    with serving(ScriptedServer(generate=script)) as server, stillcue.Client(server.target) as client:
        assert len(list(client.generate(b"a picture", "A boat."))) == 2
    assert seen == [None, KEY, None]


def test_a_stream_that_breaks_after_its_summary_is_complete() -> None:
    def script(request: generate_pb2.GenerateRequest, context: Any) -> Iterator[Response]:
        yield opening(request)
        last: Any = summary(request)
        last.sequence_number, last.resume_token = 1, f"{KEY}.token-1"
        yield last
        refuse(context, grpc.StatusCode.UNAVAILABLE, "broken")

    with serving(ScriptedServer(generate=script)) as server, stillcue.Client(server.target) as client:
        events = list(client.generate(b"a picture", "A boat."))
    assert [type(event).__name__ for event in events] == ["Accepted", "Summary"]
    assert len(server.requests) == 1


# Refused calls


def busy(reason: str, retry_seconds: float = 0.0) -> list[Any]:
    details: list[Any] = [error_details_pb2.ErrorInfo(reason=reason, domain="stillcue")]
    if retry_seconds:
        details.append(error_details_pb2.RetryInfo(retry_delay=seconds(retry_seconds)))
    return details


@pytest.mark.parametrize(
    ("code", "why"),
    [
        (grpc.StatusCode.RESOURCE_EXHAUSTED, "QUEUE_FULL"),
        (grpc.StatusCode.UNAVAILABLE, "SERVER_DRAINING"),
        (grpc.StatusCode.UNAVAILABLE, "NO_REPLICA_FREE"),
    ],
)
@pytest.mark.parametrize("resume_window_seconds", [0.0, 30.0])
def test_a_refused_job_is_sent_again_if_the_caller_waits(
    code: grpc.StatusCode, why: str, resume_window_seconds: float
) -> None:
    told: list[tuple[str | None, float]] = []

    def script(request: generate_pb2.GenerateRequest, context: Any) -> Iterator[Response]:
        if len(server.requests) < 3:
            refuse(context, code, "no room", *busy(why, 0.01))
        yield accepted(request)
        yield summary(request)

    def note(error: stillcue.StillcueError, delay: float) -> None:
        told.append((error.reason, delay))

    with (
        serving(ScriptedServer(generate=script)) as server,
        stillcue.Client(server.target, wait_when_busy_seconds=60, on_refusal=note) as client,
    ):
        events = list(client.generate(b"a picture", "A boat.", resume_window_seconds=resume_window_seconds))
    assert [type(event).__name__ for event in events] == ["Accepted", "Summary"]
    assert [reason for reason, _ in told] == [why] * 2
    assert all(delay >= 0.01 for _, delay in told)
    assert server.requests == [server.requests[0]] * 3


def test_a_caller_that_does_not_wait_gets_the_refusal() -> None:
    def script(request: generate_pb2.GenerateRequest, context: Any) -> Iterator[Response]:
        if len(server.requests) == 1:
            refuse(context, grpc.StatusCode.RESOURCE_EXHAUSTED, "no room", *busy("QUEUE_FULL", 5.0))
        yield accepted(request)

    with serving(ScriptedServer(generate=script)) as server, stillcue.Client(server.target) as client:
        with pytest.raises(stillcue.Overloaded) as caught:
            list(client.generate(b"a picture", "A boat."))
        assert caught.value.retry_after_seconds == 5.0
        assert len(server.requests) == 1


async def test_a_score_goes_to_another_server_while_one_drains() -> None:
    async with served(FakeEngine()) as first, served(FakeEngine()) as second:
        with Relay(first.port) as relay:

            def move(error: stillcue.StillcueError, _: float) -> None:
                assert error.reason == "SERVER_DRAINING"
                relay.move_to(second.port)
                relay.cut()

            await first.server.drain(asyncio.Event())
            async with stillcue.AsyncClient(relay.target, wait_when_busy_seconds=60, on_refusal=move) as client:
                report = await client.score_match(png(), PROMPT)
        assert report.score == 10 * len(PROMPT.split())
        assert await second.sample("stillcue_match_score_count") == 1


def test_waits_end_with_the_time_that_the_caller_gave() -> None:
    now = [100.0]
    retries = BusyRetries(BusyPolicy(10.0), clock=lambda: now[0], draw=lambda: 1.0)
    full = stillcue.Overloaded("no room", ErrorDetails("RESOURCE_EXHAUSTED", "QUEUE_FULL", retry_after_seconds=4.0))
    gone = stillcue.Unavailable("no server", ErrorDetails("UNAVAILABLE"))
    assert [retries.delay_after(full), retries.delay_after(gone), retries.delay_after(gone)] == [4.0, 0.2, 0.4]
    now[0] += 7.0
    assert retries.delay_after(full) is None
    retries.reset()
    assert retries.delay_after(gone) == 0.1
    for status, reason in (("RESOURCE_EXHAUSTED", "QUOTA_EXCEEDED"), ("UNAVAILABLE", "ENGINE_LOST"), ("UNKNOWN", None)):
        assert retries.delay_after(stillcue.StillcueError("other", ErrorDetails(status, reason))) is None
    assert BusyRetries(BusyPolicy()).delay_after(full) is None


@pytest.mark.parametrize("wait", [-1.0, float("nan"), float("inf")])
def test_a_wait_that_is_no_time_is_refused(wait: float) -> None:
    with pytest.raises(ValueError, match=r"^wait_when_busy_seconds is .*; give seconds of 0 or more$"):
        stillcue.Client("localhost:1", wait_when_busy_seconds=wait)
