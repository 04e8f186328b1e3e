"""A job whose server is gone goes on at another one: no event is repeated, none is missing, frames have equal bytes."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import replace
from threading import Semaphore
from typing import TYPE_CHECKING, Any

import grpc
import grpc.aio
import numpy as np
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from engine.api.events import FrameReady
from engine.testing.fake_engine import FAKE_CAPABILITIES, FakeEngine
from server.jobs.replica import replica_key
from server.jobs.resume_token import ResumeToken
from stillcue.v1 import attempts_pb2, generate_pb2, media_pb2
from tests.attempting import ACCEPTED, ALL, attempts_request
from tests.fake_job import EVENT_COUNT, GRAPH_CALL_COUNT, GRAPH_CALLS, without_clocks
from tests.resuming import OTHER_ID, resumable
from tests.serving import (
    PATIENCE_SECONDS,
    REQUEST_ID,
    Served,
    failure_of,
    kinds,
    read_all,
    reason,
    served,
    violations,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from engine.api.cancellation import CancelFlag
    from engine.api.events import Event
    from engine.api.job import PreparedJob

Messages = list[generate_pb2.GenerateResponse]


@asynccontextmanager
async def two_servers(engine: FakeEngine) -> AsyncIterator[tuple[Served, Served]]:
    """A server that has the job and is left, and an equal one with this engine."""
    async with served(FakeEngine(), replica="gpu-1") as first, served(engine, replica="gpu-2") as second:
        yield first, second


def going_on(
    request: generate_pb2.GenerateRequest, last: generate_pb2.GenerateResponse
) -> generate_pb2.GenerateRequest:
    """The whole request with the token of the last event that was received."""
    whole = generate_pb2.GenerateRequest()
    whole.CopyFrom(request)
    whole.resume_token = last.resume_token
    return whole


def numbered(messages: Messages) -> list[int]:
    return [message.sequence_number for message in messages]


def without_token(messages: Messages) -> Messages:
    """The messages without what belongs to one server: times, tokens and news of its queue."""
    found = []
    for message in without_clocks(messages):
        if not message.HasField("queue_update"):
            message.ClearField("resume_token")
            message.ClearField("sequence_number")
            found.append(message)
    return found


def resume_only(last: generate_pb2.GenerateResponse) -> generate_pb2.GenerateRequest:
    return generate_pb2.GenerateRequest(request_id=REQUEST_ID, resume_token=last.resume_token)


async def repeat_from_events(request: generate_pb2.GenerateRequest, step: int = 1) -> Messages:
    """Leaves the first server after each event, or each ``step``-th one; every stream equals the undisturbed one."""
    async with two_servers(FakeEngine()) as (first, second):
        whole = await read_all(first.stub.Generate(request))
        assert numbered(whole) == list(range(len(whole)))
        for index, count in enumerate(range(1, len(whole) + 1, step), 1):
            rest = await read_all(second.stub.Generate(going_on(request, whole[count - 1])))
            assert numbered(rest) == list(range(count, len(whole)))
            assert without_token(rest) == without_token(whole[count:])
            await second.reaches("stillcue_jobs_repeated_total", index)
            cancel = generate_pb2.CancelGenerateRequest(request_id=request.request_id)
            await second.stub.CancelGenerate(cancel)  # so that the next one is done again too
        return whole


async def test_a_stream_goes_on_after_each_event() -> None:
    whole = await repeat_from_events(resumable())
    assert len(whole) == EVENT_COUNT


async def test_previews_are_compared_and_go_on_too() -> None:
    whole = await repeat_from_events(resumable(stream=generate_pb2.StreamSpec(preview_every_step_count=1)))
    assert sum(message.denoise_progress.HasField("preview") for message in whole) == 4


async def test_a_video_file_goes_on_after_each_chunk() -> None:
    stream = generate_pb2.StreamSpec(video_container=media_pb2.VIDEO_CONTAINER_FRAGMENTED_MP4, omit_frames=True)
    whole = await repeat_from_events(resumable(stream=stream))
    assert kinds(whole).count("video_chunk") > 1


@pytest.mark.parametrize("frames", [ALL, ACCEPTED], ids=["all", "accepted"])
async def test_several_attempts_go_on_after_each_event(frames: attempts_pb2.AttemptFrames) -> None:
    request = resumable()
    request.attempts.CopyFrom(attempts_request(4, 2, frames).attempts)  # seed 4 fails, 5 is accepted
    request.sampling.seed = 4
    whole = await repeat_from_events(request, 4)
    assert whole[-1].summary.delivered_attempt == 2


async def test_the_seed_that_a_server_drew_is_kept_and_the_time_goes_on() -> None:
    request = resumable()
    request.sampling.ClearField("seed")
    async with two_servers(FakeEngine()) as (first, second):
        whole = await read_all(first.stub.Generate(request))
        rest = await read_all(second.stub.Generate(going_on(request, whole[3])))
    assert without_token(rest) == without_token(whole[4:])
    assert rest[-1].summary.settings.seed == whole[0].accepted.settings.seed
    times = [message.elapsed.ToNanoseconds() for message in [*whole[:4], *rest]]
    assert times == sorted(times)


async def test_a_token_alone_asks_for_the_whole_request() -> None:
    engine = FakeEngine()
    async with two_servers(engine) as (first, second):
        whole = await read_all(first.stub.Generate(resumable()))
        assert whole[3].resume_token.startswith(replica_key("gpu-1") + ".")
        error = await failure_of(second.stub.Generate(resume_only(whole[3])))
        assert (error.code(), reason(error)) == (grpc.StatusCode.NOT_FOUND, "JOB_NOT_FOUND")
        assert metadata(error)["can_repeat"] == "true"
        assert "send the whole request again with the same resume_token" in (error.details() or "")
        assert engine.graph_calls == []


async def test_a_job_of_this_server_that_is_over_is_not_done_again() -> None:
    engine = FakeEngine()
    async with served(engine) as server:
        whole = await read_all(server.stub.Generate(resumable()))
        await server.stub.CancelGenerate(generate_pb2.CancelGenerateRequest(request_id=REQUEST_ID))
        for request in (resume_only(whole[3]), going_on(resumable(), whole[3])):
            error = await failure_of(server.stub.Generate(request))
            assert (reason(error), "can_repeat" in metadata(error)) == ("JOB_NOT_FOUND", False)
    assert engine.graph_calls == GRAPH_CALLS


async def test_a_job_of_another_bundle_is_not_begun() -> None:
    engine = FakeEngine(capabilities=replace(FAKE_CAPABILITIES, bundle_digest="2" * 64))
    async with two_servers(engine) as (first, second):
        whole = await read_all(first.stub.Generate(resumable()))
        for request in (resume_only(whole[3]), going_on(resumable(), whole[3])):
            error = await failure_of(second.stub.Generate(request))
            assert (error.code(), reason(error)) == (grpc.StatusCode.FAILED_PRECONDITION, "REPLICA_DIFFERS")
        assert engine.graph_calls == []


class OtherColours(FakeEngine):
    """Says that it is equal, and makes one frame other than the fake engine does."""

    def __init__(self, frame_index: int) -> None:
        super().__init__()
        self._frame_index = frame_index

    def generate(self, job: PreparedJob, cancel: CancelFlag) -> Iterator[Event]:
        for event in super().generate(job, cancel):
            if isinstance(event, FrameReady) and event.index == self._frame_index:
                pixels = event.pixels.copy()
                pixels[0, 0, 0] ^= np.uint8(1)  # the least that two devices can differ by
                yield replace(event, pixels=pixels)
            else:
                yield event


@pytest.mark.parametrize("encoding", [media_pb2.FRAME_ENCODING_PNG, media_pb2.FRAME_ENCODING_RAW_RGB])
async def test_a_clip_that_differs_ends_before_its_next_event(encoding: media_pb2.FrameEncoding) -> None:
    request = resumable(stream=generate_pb2.StreamSpec(frame_encoding=encoding))
    async with two_servers(OtherColours(2)) as (first, second):
        whole = await read_all(first.stub.Generate(request))
        frame_3 = next(message for message in whole if message.frame.index == 3)
        call = second.stub.Generate(going_on(request, frame_3))
        messages, error = await messages_and_failure(call)
        assert messages == []
        assert (error.code(), reason(error)) == (grpc.StatusCode.FAILED_PRECONDITION, "CLIP_DIFFERS")
        await second.reaches("stillcue_jobs_total{outcome=clip_differs}", 1)


async def test_what_comes_after_the_token_may_differ() -> None:
    async with two_servers(OtherColours(5)) as (first, second):
        whole = await read_all(first.stub.Generate(resumable()))
        frame_3 = next(message for message in whole if message.frame.index == 3)
        rest = await read_all(second.stub.Generate(going_on(resumable(), frame_3)))
    assert [message.frame.index for message in rest if message.HasField("frame")] == [4, 5, 6, 7, 8]


async def test_a_run_that_ends_before_the_events_that_were_sent_has_another_clip() -> None:
    class Shorter(FakeEngine):
        def generate(self, job: PreparedJob, cancel: CancelFlag) -> Iterator[Event]:
            yield from list(super().generate(job, cancel))[:-5]

    async with two_servers(Shorter()) as (first, second):
        whole = await read_all(first.stub.Generate(resumable()))
        error = await failure_of(second.stub.Generate(going_on(resumable(), whole[-1])))
        assert reason(error) == "CLIP_DIFFERS"


async def test_a_busy_server_tells_its_queue_and_numbers_go_on() -> None:
    gate = Semaphore(0)
    async with two_servers(FakeEngine(gate=gate)) as (first, second):
        whole = await read_all(first.stub.Generate(resumable()))
        ahead = second.stub.Generate(resumable(request_id=OTHER_ID))
        await second.reaches("stillcue_running_jobs", 1)
        call = second.stub.Generate(going_on(resumable(), whole[5]))
        events = aiter(call)
        news = await asyncio.wait_for(anext(events), PATIENCE_SECONDS)
        assert (news.sequence_number, news.queue_update.position) == (6, 1)
        gate.release(2 * GRAPH_CALL_COUNT)
        await read_all(ahead)
        rest = [news, *await read_all(events)]
    assert numbered(rest) == list(range(6, 6 + len(rest)))
    assert kinds(rest)[:2] == ["queue_update", "queue_update"]
    assert without_token(rest) == without_token(whole[6:])


async def test_a_stream_that_breaks_while_the_job_is_done_again_joins_it() -> None:
    gate = Semaphore(3)
    engine = FakeEngine(gate=gate)
    async with two_servers(engine) as (first, second):
        whole = await read_all(first.stub.Generate(resumable()))
        request = going_on(resumable(), whole[9])
        broken = second.stub.Generate(request)
        await second.reaches("stillcue_running_jobs", 1)
        broken.cancel()
        await second.reaches("stillcue_detached_jobs", 1)
        gate.release(GRAPH_CALL_COUNT)
        for again in (request, resume_only(whole[9])):  # the token of the first server is one of this run
            assert without_token(await read_all(second.stub.Generate(again))) == without_token(whole[10:])
        after = await read_all(second.stub.Generate(going_on(resumable(), whole[9])))
        new_token = ResumeToken.decode(after[0].resume_token)
        assert new_token.run.replica.key == replica_key("gpu-2")
        assert new_token.progress.event_count == 11
        assert await read_all(second.stub.Generate(resume_only(after[0]))) == after[1:]
    assert engine.graph_calls == GRAPH_CALLS


async def test_a_third_server_goes_on_where_the_second_one_ended() -> None:
    async with two_servers(FakeEngine()) as (first, second), served(FakeEngine(), replica="gpu-3") as third:
        whole = await read_all(first.stub.Generate(resumable()))
        middle = await read_all(second.stub.Generate(going_on(resumable(), whole[4])))
        rest = await read_all(third.stub.Generate(going_on(resumable(), middle[5])))
    assert numbered(rest) == list(range(11, len(whole)))
    assert without_token(rest) == without_token(whole[11:])


async def test_wrong_fields_of_the_whole_request_are_named() -> None:
    async with two_servers(FakeEngine()) as (first, second):
        whole = await read_all(first.stub.Generate(resumable()))
        wrong = going_on(resumable(), whole[3])
        wrong.sampling.step_count = -1
        error = await failure_of(second.stub.Generate(wrong))
        assert [path for path, _ in violations(error)] == ["sampling.step_count"]


def metadata(error: grpc.aio.AioRpcError) -> dict[str, str]:
    status = rpc_status.from_call(error)  # type: ignore[arg-type]
    info = error_details_pb2.ErrorInfo()
    assert any(detail.Unpack(info) for detail in status.details)
    return dict(info.metadata)


async def messages_and_failure(call: Any) -> tuple[Messages, grpc.aio.AioRpcError]:
    messages: Messages = []
    try:
        async for message in call:
            messages.append(message)
    except grpc.aio.AioRpcError as error:
        return messages, error
    raise AssertionError("the call ended without an error")
