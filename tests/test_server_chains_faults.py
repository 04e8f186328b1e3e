"""Chains that are cancelled, lose their engine, their reader or their server, or would end after the deadline."""

from __future__ import annotations

from threading import Semaphore

import pytest

from engine.testing.fake_engine import FakeEngine
from stillcue.v1 import generate_pb2
from tests.chaining import (
    CHAIN_CALLS,
    CHAIN_EVENT_COUNT,
    FIRST_CALLS,
    FIRST_EVENT_COUNT,
    SEGMENT_CALLS,
    brief,
    chain_request,
    expected_chain,
    lasting_chain,
)
from tests.fake_job import GRAPH_CALLS
from tests.faulty_engine import LosingEngine
from tests.resuming import going_on, raw, read_and_break, read_bytes
from tests.serving import REQUEST_ID, eventually, failure_of, generate_request, kinds, read_all, reason, served

SECOND = len(FIRST_CALLS)  # graph calls before the second segment
THIRD = SECOND + len(SEGMENT_CALLS)
CALL_COUNT = len(CHAIN_CALLS)
MIDDLE = 1 + FIRST_EVENT_COUNT + 7  # events up to the second step of the second segment


def without_window(messages: list[generate_pb2.GenerateResponse]) -> list[generate_pb2.GenerateResponse]:
    plain = brief(messages)
    for message in plain:
        if message.HasField("accepted"):
            message.accepted.ClearField("resume_window")
    return plain


async def test_a_stream_that_breaks_in_the_middle_of_a_segment_goes_on_with_the_same_bytes() -> None:
    gate = Semaphore(SECOND + 4)
    engine = FakeEngine(gate=gate)
    async with served(engine) as server:
        first = await read_and_break(server, lasting_chain(), MIDDLE)
        gate.release(CALL_COUNT)
        rest = await read_bytes(raw(server.channel, going_on(first[-1])))
        whole = await read_bytes(raw(server.channel, lasting_chain()))
        assert first + rest == whole
    assert engine.graph_calls == CHAIN_CALLS
    events = [generate_pb2.GenerateResponse.FromString(event) for event in whole]
    assert events[MIDDLE - 1].denoise_progress.completed_step_count == 2
    assert without_window(events) == expected_chain()


@pytest.mark.parametrize(
    ("at", "calls"),
    [
        (SECOND - 1, [*FIRST_CALLS[:-1], *CHAIN_CALLS]),
        (THIRD + 1, [*CHAIN_CALLS[: THIRD + 1], "encode_text", *SEGMENT_CALLS]),
        (THIRD + 5, [*CHAIN_CALLS[: THIRD + 5], "encode_text", *SEGMENT_CALLS]),
        (CALL_COUNT, [*CHAIN_CALLS, "encode_text", *SEGMENT_CALLS]),
    ],
    ids=["in the first segment", "third: match", "third: denoise", "third: frames"],
)
async def test_a_chain_that_loses_its_engine_goes_on_with_the_segment_that_ran(at: int, calls: list[str]) -> None:
    engine = LosingEngine(at)
    async with served(engine) as server:
        messages = await read_all(server.stub.Generate(lasting_chain()))
        assert await server.sample("stillcue_jobs_begun_again_total") == 1
        assert await server.sample("stillcue_segments_total") == 3
        assert await server.sample("stillcue_stage_seconds_count{stage=denoise}") == 3
    assert without_window(messages) == expected_chain()
    assert engine.graph_calls == calls


async def test_each_segment_may_lose_its_engine_once() -> None:
    engine = LosingEngine(3, len(FIRST_CALLS) + 3 + 4, len(FIRST_CALLS) + 3 + 4 + len(SEGMENT_CALLS) + 4)
    async with served(engine) as server:
        messages = await read_all(server.stub.Generate(lasting_chain()))
        assert await server.sample("stillcue_jobs_begun_again_total") == 3
    assert without_window(messages) == expected_chain()


async def test_a_segment_that_loses_two_engines_ends_the_job() -> None:
    async with served(LosingEngine(SECOND + 3, SECOND + 6)) as server:
        call = server.stub.Generate(lasting_chain())
        messages = [await anext(aiter(call)) for _ in range(1 + FIRST_EVENT_COUNT + 5)]
        error = await failure_of(call)
    assert (messages[-1].segment, kinds(messages)[-1]) == (2, "stage_started")
    assert reason(error) == "ENGINE_LOST"


async def test_a_chain_without_a_window_is_not_retried() -> None:
    async with served(LosingEngine(THIRD + 5)) as server:
        assert reason(await failure_of(server.stub.Generate(chain_request()))) == "ENGINE_LOST"


async def test_a_cancel_ends_a_chain_in_any_segment() -> None:
    gate = Semaphore(SECOND + 4)
    engine = FakeEngine(gate=gate)
    async with served(engine) as server:
        call = server.stub.Generate(chain_request())
        await anext(aiter(call))
        await eventually(lambda: len(engine.graph_calls) == SECOND + 4)
        call.cancel()
        await server.reaches("stillcue_jobs_total{outcome=cancelled}", 1)
        gate.release(1)
        await server.reaches("stillcue_running_jobs", 0)
        assert await server.sample("stillcue_segments_total") == 1
        assert await server.sample("stillcue_chains_total{outcome=complete}") == 0
        gate.release(len(GRAPH_CALLS))
        assert kinds(await read_all(server.stub.Generate(generate_request())))[-1] == "summary"
    assert engine.graph_calls == [*CHAIN_CALLS[: SECOND + 4], *GRAPH_CALLS]


async def test_a_chain_with_a_window_is_cancelled_by_its_own_method() -> None:
    gate = Semaphore(THIRD + 2)
    engine = FakeEngine(gate=gate)
    async with served(engine) as server:
        call = server.stub.Generate(lasting_chain())
        await anext(aiter(call))
        await eventually(lambda: len(engine.graph_calls) == THIRD + 2)
        await server.stub.CancelGenerate(generate_pb2.CancelGenerateRequest(request_id=REQUEST_ID))
        assert reason(await failure_of(call)) == "CANCELLED"
        gate.release(1)
        await server.reaches("stillcue_running_jobs", 0)
    assert engine.graph_calls == CHAIN_CALLS[: THIRD + 2]


@pytest.mark.parametrize("event_count", [1, MIDDLE, 1 + FIRST_EVENT_COUNT, CHAIN_EVENT_COUNT - 1])
async def test_a_chain_whose_server_is_gone_is_done_again_and_repeats_nothing(event_count: int) -> None:
    request, engine = lasting_chain(), FakeEngine()
    request.sampling.ClearField("seed")
    request.segments[0].seed = 5
    async with served(FakeEngine(), replica="gpu-1") as gone, served(engine, replica="gpu-2") as server:
        whole = await read_all(gone.stub.Generate(request))
        request.resume_token = whole[event_count - 1].resume_token
        rest = await read_all(server.stub.Generate(request))
    assert [message.sequence_number for message in rest] == list(range(event_count, CHAIN_EVENT_COUNT))
    assert without_window(rest) == without_window(whole)[event_count:]
    assert rest[-1].summary.settings == whole[0].accepted.settings
    assert engine.graph_calls == CHAIN_CALLS


async def test_the_estimate_of_a_chain_is_that_of_its_segments() -> None:
    async with served(FakeEngine(call_seconds=0.01)) as server:
        await read_all(server.stub.Generate(generate_request()))
        call = server.stub.Generate(chain_request())
        accepted = (await anext(aiter(call))).accepted
        assert accepted.estimate.work_duration.ToNanoseconds() > CALL_COUNT * 10e6
        waiting = server.stub.Generate(generate_request())
        assert (await anext(aiter(waiting))).accepted.estimate.wait_duration.ToNanoseconds() > CALL_COUNT * 10e6 * 0.9
        call.cancel()
        waiting.cancel()
        await server.reaches("stillcue_running_jobs", 0)
        single = generate_request(sampling={"step_count": 100})
        seconds = (
            await anext(aiter(server.stub.Generate(single)))
        ).accepted.estimate.work_duration.ToNanoseconds() / 1e9
        error = await failure_of(
            server.stub.Generate(chain_request(sampling={"step_count": 100}), timeout=1.5 * seconds)
        )
    assert reason(error) == "DEADLINE_TOO_SHORT"
