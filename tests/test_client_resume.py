"""Both clients resume a broken stream by themselves: a real server behind a relay that cuts connections."""

from __future__ import annotations

import asyncio
from threading import Semaphore
from typing import TYPE_CHECKING

import grpc
import pytest
from google.rpc import error_details_pb2

import stillcue
from engine.testing.fake_engine import FakeEngine
from stillcue.busy import FIRST_DELAY_SECONDS, LONGEST_DELAY_SECONDS
from stillcue.errors import ErrorDetails
from stillcue.resumption import BEGINNING_ATTEMPT_COUNT, Resumption
from stillcue.v1 import generate_pb2
from tests.fake_job import EVENT_COUNT
from tests.relay import Relay
from tests.scripted_server import Response, ScriptedServer, accepted, frame, refuse, seconds, serving, summary
from tests.serving import PATIENCE_SECONDS, PROMPT, eventually, png, served

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

CALL_COUNT = 10
OPTIONS: stillcue.GenerateOptions = {"seed": 7, "frame_encoding": stillcue.FrameEncoding.RAW_RGB}


def window(window_seconds: float) -> stillcue.GenerateOptions:
    return {**OPTIONS, "resume_window_seconds": window_seconds}


def check_clip(events: list[stillcue.Event]) -> None:
    """Every event once, in order; frames as a person computes them."""
    assert len(events) == EVENT_COUNT
    frames = [event for event in events if isinstance(event, stillcue.Frame)]
    assert [item.data for item in frames] == [bytes((7 + n, n, len(PROMPT))) * 32 * 32 for n in range(9)]
    assert isinstance(events[0], stillcue.Accepted)
    assert isinstance(events[-1], stillcue.Summary)


async def read_with_cuts(relay: Relay, gate: Semaphore, stream: stillcue.AsyncEventStream) -> None:
    """Cuts the connection before each graph call but the first."""
    events: list[stillcue.Event] = []
    async with asyncio.timeout(2 * PATIENCE_SECONDS):
        for call in range(CALL_COUNT):
            if call:
                relay.cut()
            gate.release()
            wanted = (4, 5, 6, 7, 8, 9, 11, 12, 16, EVENT_COUNT)[call]  # all that there is after that call
            while len(events) < wanted:
                events.append(await anext(stream))
    check_clip(events)
    with pytest.raises(StopAsyncIteration):
        await anext(stream)


async def test_the_asynchronous_client_takes_a_stream_up_again_and_again() -> None:
    gate = Semaphore(0)
    engine = FakeEngine(gate=gate)
    async with served(engine) as server:
        with Relay(server.port) as relay:
            async with stillcue.AsyncClient(relay.target) as client:
                await read_with_cuts(relay, gate, client.generate(png(), PROMPT, **OPTIONS))
        assert await server.sample("stillcue_streams_resumed_total") == CALL_COUNT - 1
        assert await server.sample("stillcue_jobs_total{outcome=completed}") == 1
    assert len(engine.graph_calls) == CALL_COUNT


async def test_the_synchronous_client_takes_a_stream_up_again() -> None:
    gate = Semaphore(4)
    engine = FakeEngine(gate=gate)
    async with served(engine) as server:

        def read() -> list[stillcue.Event]:
            with Relay(server.port) as relay, stillcue.Client(relay.target) as client:
                stream = client.generate(png(), PROMPT, **OPTIONS)
                events = [next(stream) for _ in range(5)]
                relay.cut()
                gate.release(CALL_COUNT)
                return events + list(stream)

        check_clip(await asyncio.wait_for(asyncio.to_thread(read), 2 * PATIENCE_SECONDS))
        assert await server.sample("stillcue_jobs_total{outcome=completed}") == 1
    assert len(engine.graph_calls) == CALL_COUNT


async def test_without_a_window_a_cut_ends_the_job() -> None:
    gate = Semaphore(2)
    engine = FakeEngine(gate=gate)
    async with served(engine) as server:
        with Relay(server.port) as relay:
            async with stillcue.AsyncClient(relay.target) as client:
                stream = client.generate(png(), PROMPT, **window(0))
                await anext(stream)
                await eventually(lambda: len(engine.graph_calls) == 2)
                relay.cut()
                with pytest.raises(stillcue.Unavailable) as caught:
                    await _read(stream)
        assert not isinstance(caught.value, stillcue.ResumeFailed)
        await server.reaches("stillcue_jobs_total{outcome=cancelled}", 1)
        gate.release()
        await server.reaches("stillcue_cancel_latency_seconds_count", 1)
    assert len(engine.graph_calls) == 2


async def test_a_server_that_stays_away_is_told_as_such() -> None:
    gate = Semaphore(2)
    async with served(FakeEngine(gate=gate)) as server:
        with Relay(server.port) as relay:
            async with stillcue.AsyncClient(relay.target) as client:
                stream = client.generate(png(), PROMPT, **window(0.5))
                await anext(stream)
                relay.refuse(True)
                relay.cut()
                with pytest.raises(stillcue.ResumeFailed, match=r"could not be resumed within 0\.5 s") as caught:
                    await asyncio.wait_for(_read(stream), PATIENCE_SECONDS)
                with pytest.raises(StopAsyncIteration):
                    await anext(stream)
        assert caught.value.status == "UNAVAILABLE"
        assert caught.value.request_id == stream.request_id
        await server.reaches("stillcue_jobs_total{outcome=reader_gone}", 1)
        gate.release()


@pytest.mark.parametrize("end", ["stream", "client", "task", "scope"])
async def test_leaving_a_stream_ends_its_job_at_once(end: str) -> None:
    gate = Semaphore(2)
    engine = FakeEngine(gate=gate)
    async with served(engine) as server:
        client = stillcue.AsyncClient(str(server.address))
        stream = client.generate(png(), PROMPT, **OPTIONS)
        await anext(stream)
        await eventually(lambda: len(engine.graph_calls) == 2)
        if end == "stream":
            await stream.aclose()
        elif end == "client":
            await client.aclose()
        else:
            reading = asyncio.create_task(_read(stream))
            await server.reaches(
                "grpc_server_msg_sent_total{grpc_method=Generate,grpc_service=stillcue.v1.StillcueService,"
                "grpc_type=server_stream}",
                5,
            )
            reading.cancel()
            if end == "scope":  # anyio's, and with it Starlette's, cancels until the task has ended
                while not reading.done():
                    await asyncio.sleep(0)
                    reading.cancel()
            with pytest.raises(asyncio.CancelledError):
                await reading
            await stream.aclose()  # waits for what the task could not wait for
        # The window is 30 s: only the client's word ends the job now.
        assert await server.sample("stillcue_jobs_total{outcome=cancelled}") == 1
        gate.release()
        await server.reaches("stillcue_cancel_latency_seconds_count", 1)
        await client.aclose()
    assert len(engine.graph_calls) == 2


async def _read(stream: stillcue.AsyncEventStream) -> None:
    async for _ in stream:
        pass


async def test_leaving_a_stream_of_the_synchronous_client_ends_its_job() -> None:
    gate = Semaphore(2)
    async with served(FakeEngine(gate=gate)) as server:

        def leave() -> None:
            with stillcue.Client(str(server.address)) as client, client.generate(png(), PROMPT, **OPTIONS) as stream:
                next(stream)

        await asyncio.to_thread(leave)
        assert await server.sample("stillcue_jobs_total{outcome=cancelled}") == 1
        gate.release()


def token(message: Response, number: int) -> Response:
    message.sequence_number = number
    message.resume_token = f"token-{number}"
    return message


def opening(request: generate_pb2.GenerateRequest) -> Response:
    message = accepted(request)
    message.accepted.resume_window.CopyFrom(seconds(20))
    return token(message, 0)


@pytest.mark.parametrize("code", [grpc.StatusCode.UNKNOWN, grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.INTERNAL])
def test_what_proxies_say_of_a_broken_stream_is_resumed(code: grpc.StatusCode) -> None:
    def script(request: generate_pb2.GenerateRequest, context: Any) -> Iterator[Response]:
        if not request.resume_token:
            yield opening(request)
            yield token(frame(0), 1)
            refuse(context, code, "broken")
        yield token(frame(1), 2)
        yield token(summary(request), 3)

    with serving(ScriptedServer(generate=script)) as server, stillcue.Client(server.target) as client:
        events = list(client.generate(b"a picture", "A boat.", request_id="an-id", max_stall_seconds=3))
    assert [type(event).__name__ for event in events] == ["Accepted", "Frame", "Frame", "Summary"]
    assert server.requests[1:] == [
        generate_pb2.GenerateRequest(
            request_id="an-id",
            resume_token="token-1",
            stream=generate_pb2.StreamSpec(max_stall_duration=seconds(3)),
        )
    ]


async def test_a_server_that_goes_on_elsewhere_is_a_fault() -> None:
    def script(request: generate_pb2.GenerateRequest, context: Any) -> Iterator[Response]:
        if not request.resume_token:
            yield opening(request)
            refuse(context, grpc.StatusCode.UNAVAILABLE, "broken")
        yield token(frame(1), 2)

    with serving(ScriptedServer(generate=script)) as server:
        with stillcue.Client(server.target) as client, pytest.raises(stillcue.ServerError, match="another event"):
            list(client.generate(b"a picture", "A boat."))
        async with stillcue.AsyncClient(server.target) as asynchronous:
            with pytest.raises(stillcue.ServerError, match="another event"):
                await _read(asynchronous.generate(b"a picture", "A boat."))


@pytest.mark.parametrize(
    "code", [grpc.StatusCode.ABORTED, grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.RESOURCE_EXHAUSTED]
)
def test_other_ends_are_not_resumed(code: grpc.StatusCode) -> None:
    def script(request: generate_pb2.GenerateRequest, context: Any) -> Iterator[Response]:
        yield opening(request)
        refuse(context, code, "over")

    with serving(ScriptedServer(generate=script)) as server, stillcue.Client(server.target) as client:
        with pytest.raises(stillcue.StillcueError) as caught:
            list(client.generate(b"a picture", "A boat."))
        assert caught.value.status == code.name
        assert len(server.requests) == 1


def test_a_call_that_broke_before_its_first_event_is_made_again() -> None:
    def script(request: generate_pb2.GenerateRequest, context: Any) -> Iterator[Response]:
        if len(server.requests) < 3:
            refuse(context, grpc.StatusCode.UNAVAILABLE, "broken")
        yield opening(request)
        yield token(summary(request), 1)

    with serving(ScriptedServer(generate=script)) as server, stillcue.Client(server.target) as client:
        events = list(client.generate(b"a picture", "A boat."))
    assert [type(event).__name__ for event in events] == ["Accepted", "Summary"]
    assert server.requests == [server.requests[0]] * 3


@pytest.mark.parametrize("why", ["ENGINE_LOST", "SERVER_DRAINING"])
def test_what_the_server_itself_says_is_its_last_word(why: str) -> None:
    def script(request: generate_pb2.GenerateRequest, context: Any) -> Iterator[Response]:
        yield opening(request)
        info = error_details_pb2.ErrorInfo(reason=why, domain="stillcue")
        refuse(context, grpc.StatusCode.UNAVAILABLE, "over", info)

    with serving(ScriptedServer(generate=script)) as server, stillcue.Client(server.target) as client:
        with pytest.raises(stillcue.Unavailable) as caught:
            list(client.generate(b"a picture", "A boat."))
        assert caught.value.reason == why
        assert not isinstance(caught.value, stillcue.ResumeFailed)
        assert len(server.requests) == 1


def test_waits_grow_to_a_limit_and_are_drawn() -> None:
    request = generate_pb2.GenerateRequest(request_id="an-id")
    request.stream.resume_window.CopyFrom(seconds(20))
    now = [100.0]
    resumption = Resumption(request, 60.0, clock=lambda: now[0], draw=lambda: 1.0)
    broken = stillcue.Unavailable("gone", ErrorDetails("UNAVAILABLE"))
    beginning = [resumption.delay_after(broken) for _ in range(BEGINNING_ATTEMPT_COUNT)]
    assert beginning == [FIRST_DELAY_SECONDS * 2**n for n in range(BEGINNING_ATTEMPT_COUNT)]
    assert resumption.request == request
    with pytest.raises(stillcue.Unavailable, match="gone"):
        resumption.delay_after(broken)
    resumption.received(opening(request))
    delays = [resumption.delay_after(broken) for _ in range(6)]
    assert delays == [FIRST_DELAY_SECONDS * 2**n for n in range(5)] + [LONGEST_DELAY_SECONDS]
    full = stillcue.Overloaded("no room", ErrorDetails("RESOURCE_EXHAUSTED", "QUOTA_EXCEEDED", retry_after_seconds=5.0))
    assert resumption.delay_after(full) == 5.0
    now[0] += 19.5
    with pytest.raises(stillcue.ResumeFailed, match="within 20 s: gone"):
        resumption.delay_after(broken)
    assert resumption.timeout_seconds == 40.5
    resumption.received(token(frame(0), 1))
    assert resumption.delay_after(broken) == FIRST_DELAY_SECONDS  # a stream that goes on has its whole window again
    with pytest.raises(stillcue.ResumeFailed):
        resumption.delay_after(stillcue.ResumeFailed("too late", ErrorDetails("NOT_FOUND", "JOB_NOT_FOUND")))
