"""Streams that break and replicas that end: resumed, done again elsewhere, replaced under load."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import grpc
import pytest

import stillcue
from stillcue.aio import AsyncClient
from stillcue.v1 import generate_pb2
from tests.ray.calls import CALLS, METADATA, PATIENCE_SECONDS, colours, connected, counted, counted_on, job
from tests.ray.conftest import TOKEN
from tests.serving import eventually, failure_of, png, read_all

if TYPE_CHECKING:
    from stillcue.request import GenerateOptions
    from tests.ray.fleet import RayFleet, ReplicaProcess
    from tests.ray.gate import Gate

pytestmark = pytest.mark.ray

_CALLER_COUNT = 6


def resumable(number: int, prompt: str) -> generate_pb2.GenerateRequest:
    request = job(number, prompt)
    request.stream.resume_window.FromSeconds(60)
    return request


def options(seed: int) -> GenerateOptions:
    return {"seed": seed, "frame_encoding": stillcue.FrameEncoding.RAW_RGB, "resume_window_seconds": 60.0}


async def test_a_resumed_call_finds_its_replica(fleet: RayFleet, gate: Gate, other_gate: Gate) -> None:
    """The other replica is busy too, so a call that looked for any replica would wait."""
    resumed = await counted(fleet, "stillcue_streams_resumed_total")
    async with connected(fleet) as stub:
        first = stub.Generate(resumable(100, gate.prompt), metadata=METADATA)
        gate.permit(5)
        messages: list[generate_pb2.GenerateResponse] = []
        async with asyncio.timeout(PATIENCE_SECONDS):
            while len(messages) < 4:
                messages.append(await anext(aiter(first)))
        first.cancel()
        other = stub.Generate(job(101, other_gate.prompt), metadata=METADATA)
        await asyncio.wait_for(anext(aiter(other)), PATIENCE_SECONDS)
        token = messages[-1].resume_token
        request = generate_pb2.GenerateRequest(request_id=messages[0].accepted.request_id, resume_token=token)
        key = token.partition(".")[0]
        assert key in {replica.key for replica in fleet.replicas()}
        gate.open()
        messages += await read_all(stub.Generate(request, metadata=(*METADATA, ("stillcue-replica", key))))
        other_gate.open()
        await read_all(other)
    assert [message.sequence_number for message in messages] == list(range(len(messages)))
    assert [m.frame.data for m in messages if m.HasField("frame")] == colours(100, gate.prompt)
    assert gate.calls == CALLS
    assert await counted(fleet, "stillcue_streams_resumed_total") == resumed + 1


async def test_a_cancel_finds_its_replica(fleet: RayFleet, gate: Gate) -> None:
    cancelled = await counted(fleet, "stillcue_jobs_total", outcome="cancelled")
    async with AsyncClient(fleet.address, token=TOKEN) as client:
        gate.permit(3)
        async with client.generate(png(), gate.prompt, resume_window_seconds=60.0) as stream:
            await asyncio.wait_for(anext(stream), PATIENCE_SECONDS)
            await eventually(lambda: gate.calls == CALLS[:3])
    async with asyncio.timeout(PATIENCE_SECONDS):
        while await counted(fleet, "stillcue_jobs_total", outcome="cancelled") != cancelled + 1:
            await asyncio.sleep(0.02)
    gate.open()


async def test_the_job_of_a_killed_replica_is_done_again(fleet: RayFleet, gate: Gate) -> None:
    before = fleet.replicas()
    gate.permit(CALLS.index("decode 2"))
    async with AsyncClient(fleet.address, token=TOKEN, wait_when_busy_seconds=60.0) as client:

        async def clip(victims: list[ReplicaProcess]) -> tuple[list[str], list[bytes]]:
            """Kinds of events and frames of a clip; its replica, if it is a victim, is killed after frame 2."""
            names, frames = [], []
            async with client.generate(png(), gate.prompt, **options(110)) as stream:
                async for event in stream:
                    names.append(type(event).__name__)
                    if isinstance(event, stillcue.Frame):
                        frames.append(bytes(event.data))
                        if event.index == 2:
                            key = stream._resumption._token.partition(".")[0]
                            gate.open()
                            for victim in victims:
                                if victim.key == key:
                                    victim.kill()
            return names, frames

        async with asyncio.timeout(PATIENCE_SECONDS):
            disturbed = await clip(before)
            undisturbed = await clip([])
    assert disturbed == undisturbed
    assert disturbed[1] == colours(110, gate.prompt)
    assert len({replica.replica_id for replica in before} & {item.replica_id for item in fleet.replicas()}) == 1
    assert gate.calls[-2 * len(CALLS) :] == CALLS * 2


async def test_a_killed_replica_is_told_without_rays_text(fleet: RayFleet, gate: Gate) -> None:
    before = fleet.replicas()
    async with connected(fleet) as stub:
        call = stub.Generate(job(120, gate.prompt), metadata=METADATA)
        gate.permit(CALLS.index("decode 1"))
        async with asyncio.timeout(PATIENCE_SECONDS):
            async for message in call:
                if message.HasField("frame"):
                    break
        (busy,) = [item for item in before if await counted_on(item, "stillcue_running_jobs") == 1.0]
        busy.kill()
        error = await failure_of(call)
    assert error.code() == grpc.StatusCode.UNAVAILABLE
    assert error.details() == "the replica ended during the call; resume the stream or call again"


async def test_a_new_version_replaces_the_replicas_under_load(fleet: RayFleet) -> None:
    before = {replica.replica_id for replica in fleet.replicas()}
    is_replaced = asyncio.Event()
    clips = 0
    prompt = "a red fox call=0.01"

    async def call_again_and_again(caller: int) -> None:
        nonlocal clips
        async with AsyncClient(fleet.address, token=TOKEN, wait_when_busy_seconds=120.0) as client:
            number = 1_000 * caller
            while not is_replaced.is_set():
                number += 1
                async with client.generate(png(), prompt, **options(number)) as stream:
                    frames = [bytes(event.data) async for event in stream if isinstance(event, stillcue.Frame)]
                assert frames == colours(number, prompt)
                clips += 1

    async with asyncio.TaskGroup() as group:
        for caller in range(1, _CALLER_COUNT + 1):
            group.create_task(call_again_and_again(caller))
        await asyncio.to_thread(fleet.command, "redeploy")
        is_replaced.set()
    assert not before & {replica.replica_id for replica in fleet.replicas()}
    assert clips > _CALLER_COUNT
