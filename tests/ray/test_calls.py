"""Calls through Ray Serve: streams, errors, cancels, deadlines, refusals, metrics."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import grpc
import grpc.aio
import pytest
from google.rpc import error_details_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc

from stillcue.v1 import capabilities_pb2, generate_pb2
from tests.ray.calls import (
    BEFORE_FRAMES,
    CALLS,
    METADATA,
    PATIENCE_SECONDS,
    colours,
    connected,
    counted,
    frames_of,
    job,
    reaches,
)
from tests.ray.conftest import WAITING_LIMIT
from tests.ray.engines import FAULT
from tests.serving import detail, eventually, failure_of, kinds, read_all, reason, violations

if TYPE_CHECKING:
    from tests.ray.fleet import RayFleet
    from tests.ray.gate import Gate

pytestmark = pytest.mark.ray


async def read_until(call: Any, kind: str) -> list[generate_pb2.GenerateResponse]:
    messages = []
    async with asyncio.timeout(PATIENCE_SECONDS):
        async for message in call:
            messages.append(message)
            if message.WhichOneof("event") == kind:
                return messages
    raise AssertionError(f"no {kind} came")


async def test_frames_arrive_while_the_engine_works(fleet: RayFleet, gate: Gate) -> None:
    async with connected(fleet) as stub:
        call = stub.Generate(job(1, gate.prompt), metadata=METADATA)
        gate.permit(CALLS.index("decode 1"))
        messages = await read_until(call, "frame")
        assert kinds(messages) == [*BEFORE_FRAMES, "frame"]
        gate.permit(CALLS.index("decode 2"))
        for _ in range(4):
            messages += await read_until(call, "frame")
        assert gate.calls == CALLS[:-1]
        gate.open()
        messages += await read_all(call)
    assert kinds(messages) == [*BEFORE_FRAMES, *["frame"] * 9, "summary"]
    assert frames_of(messages) == colours(1, gate.prompt)
    assert [message.sequence_number for message in messages] == list(range(len(messages)))


async def test_a_wrong_request_is_refused_with_its_fields(fleet: RayFleet) -> None:
    async with connected(fleet) as stub:
        request = job(2)
        request.sampling.step_count = 1_000
        error = await failure_of(stub.Generate(request, metadata=METADATA))
    assert (error.code(), reason(error)) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_JOB")
    assert [field for field, _ in violations(error)] == ["sampling.step_count"]


async def test_a_fault_tells_neither_text_nor_stack(fleet: RayFleet) -> None:
    async with connected(fleet) as stub:
        error = await failure_of(stub.Generate(job(3, prompt="a fault"), metadata=METADATA))
    assert (error.code(), reason(error)) == (grpc.StatusCode.INTERNAL, "GRAPH_FAILED")
    expected = "the engine failed; details are in the server's log under this request id"
    assert error.details() == f"{expected}: {job(3).request_id}"
    assert FAULT not in str(error.trailing_metadata())


async def test_a_request_that_does_not_parse_is_refused(fleet: RayFleet) -> None:
    async with grpc.aio.insecure_channel(fleet.address) as channel:
        method: Any = channel.unary_stream("/stillcue.v1.StillcueService/Generate", None, None)
        error = await failure_of(method(b"\xff", metadata=METADATA))
    assert (error.code(), reason(error)) == (grpc.StatusCode.INVALID_ARGUMENT, "MALFORMED_REQUEST")


async def test_a_call_needs_its_token(fleet: RayFleet) -> None:
    async with connected(fleet) as stub:
        refused = await failure_of(stub.Generate(job(4)))
        wrong = await failure_of(
            stub.GetCapabilities(capabilities_pb2.GetCapabilitiesRequest(), metadata=(("authorization", "Bearer x"),))
        )
        answer = await stub.GetCapabilities(capabilities_pb2.GetCapabilitiesRequest(), metadata=METADATA)
    assert (refused.code(), reason(refused)) == (grpc.StatusCode.UNAUTHENTICATED, "TOKEN_MISSING")
    assert (wrong.code(), reason(wrong)) == (grpc.StatusCode.UNAUTHENTICATED, "TOKEN_UNKNOWN")
    assert answer.model.name == "fake"


async def test_health_is_that_of_a_replica(fleet: RayFleet) -> None:
    async with grpc.aio.insecure_channel(fleet.address) as channel:
        stub: Any = health_pb2_grpc.HealthStub(channel)
        answer = await stub.Check(health_pb2.HealthCheckRequest(service="stillcue.v1.StillcueService"))
        unknown = await failure_of(stub.Check(health_pb2.HealthCheckRequest(service="other")))
        watch = await failure_of(stub.Watch(health_pb2.HealthCheckRequest()))
    assert answer.status == health_pb2.HealthCheckResponse.SERVING
    assert reason(unknown) == "UNKNOWN_SERVICE"
    assert watch.code() == grpc.StatusCode.UNIMPLEMENTED


async def test_a_cancelled_job_makes_no_further_graph_call(fleet: RayFleet, gate: Gate) -> None:
    cancelled = await counted(fleet, "stillcue_jobs_total", outcome="cancelled")
    async with connected(fleet) as stub:
        call = stub.Generate(job(5, gate.prompt), metadata=METADATA)
        gate.permit(4)
        await read_until(call, "denoise_progress")
        await eventually(lambda: gate.calls == CALLS[:4])
        call.cancel()
        await reaches(fleet, cancelled + 1, "stillcue_jobs_total", outcome="cancelled")
        gate.open()
        for number in (6, 7):  # one after the other on the replica that is free, and both replicas are
            assert len(frames_of(await read_all(stub.Generate(job(number), metadata=METADATA)))) == 9
    assert gate.calls == CALLS[:4]


async def test_a_full_fleet_refuses_jobs_and_nothing_else(fleet: RayFleet, gate: Gate, other_gate: Gate) -> None:
    async with connected(fleet) as stub:
        running = [
            stub.Generate(job(10 + number, held.prompt), metadata=METADATA)
            for number, held in enumerate((gate, other_gate))
        ]
        for call in running:
            await read_until(call, "accepted")
        waiting = [asyncio.ensure_future(read_all(stub.Generate(job(20 + n), metadata=METADATA))) for n in range(2)]
        assert len(waiting) == WAITING_LIMIT
        error = await refusal_after(stub, waiting)
        assert (error.code(), reason(error)) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "NO_REPLICA_FREE")
        retry = detail(error, error_details_pb2.RetryInfo)
        assert retry is not None
        assert retry.retry_delay.seconds == 5
        answer = await stub.GetCapabilities(capabilities_pb2.GetCapabilitiesRequest(), metadata=METADATA)
        assert answer.model.name == "fake"
        unknown = await failure_of(
            stub.CancelGenerate(generate_pb2.CancelGenerateRequest(request_id=job(99).request_id), metadata=METADATA)
        )
        assert reason(unknown) == "JOB_NOT_FOUND"
        gate.open()
        other_gate.open()
        for call in running:
            assert len(frames_of(await read_all(call))) == 9
        for number, task in enumerate(waiting):
            assert frames_of(await task) == colours(20 + number, job(0).prompt)


async def refusal_after(stub: Any, waiting: list[Any]) -> grpc.aio.AioRpcError:
    """The first refusal of a further job. A job that came before the waiting ones took their place is cancelled."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            call = stub.Generate(job(30), metadata=METADATA, timeout=1.0)
            error = await failure_of(call)
            assert not any(task.done() for task in waiting)
            if error.code() != grpc.StatusCode.DEADLINE_EXCEEDED:
                return error


async def test_a_waiting_job_that_is_cancelled_leaves_its_place(fleet: RayFleet, gate: Gate, other_gate: Gate) -> None:
    started = await counted(fleet, "grpc_server_started_total", grpc_method="Generate")
    async with connected(fleet) as stub:
        running = [
            stub.Generate(job(40 + number, held.prompt), metadata=METADATA)
            for number, held in enumerate((gate, other_gate))
        ]
        for call in running:
            await read_until(call, "accepted")
        error = await failure_of(stub.Generate(job(42), metadata=METADATA, timeout=0.3))
        assert error.code() == grpc.StatusCode.DEADLINE_EXCEEDED
        last = asyncio.ensure_future(read_all(stub.Generate(job(43), metadata=METADATA)))
        gate.open()
        other_gate.open()
        assert frames_of(await last) == colours(43, job(0).prompt)
        for call in running:
            assert len(frames_of(await read_all(call))) == 9
    assert await counted(fleet, "grpc_server_started_total", grpc_method="Generate") == started + 3


async def test_a_deadline_reaches_the_replica(fleet: RayFleet, gate: Gate) -> None:
    passed = await counted(fleet, "stillcue_jobs_total", outcome="deadline_exceeded")
    async with connected(fleet) as stub:
        error = await failure_of(stub.Generate(job(50, gate.prompt), metadata=METADATA, timeout=1.0))
    assert error.code() == grpc.StatusCode.DEADLINE_EXCEEDED
    await reaches(fleet, passed + 1, "stillcue_jobs_total", outcome="deadline_exceeded")


async def test_a_reader_that_stalls_ends_its_stream(fleet: RayFleet) -> None:
    request = job(60)
    request.video.width_px, request.video.height_px, request.video.frame_count = 832, 480, 81
    request.stream.max_stall_duration.FromMilliseconds(500)
    async with connected(fleet) as stub:
        call: Any = stub.Generate(request, metadata=METADATA)
        await read_until(call, "frame")
        await reaches(fleet, 0.0, "stillcue_queue_jobs")
        await asyncio.wait({asyncio.ensure_future(call.code())}, timeout=3.0)  # as long as it stalls
        error = await failure_of(call)
    assert (error.code(), reason(error)) == (grpc.StatusCode.ABORTED, "READER_STALLED")


async def test_every_replica_is_scraped_at_an_address_of_its_own(fleet: RayFleet) -> None:
    addresses = {replica.metrics_address for replica in fleet.replicas()}
    assert len(addresses) == 2
    assert await counted(fleet, "stillcue_serving") == 2.0
    assert await counted(fleet, "stillcue_queue_capacity_jobs") == 16.0
