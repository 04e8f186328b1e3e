"""Spans of jobs: one for the call, one for each part of it, in the caller's trace. Off unless a collector is set."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from threading import Semaphore
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from engine.api.errors import GraphFailed
from engine.testing.fake_engine import FakeEngine
from server.observability.spans import Tracing
from server.observability.tracing import open_tracing
from server.settings import SettingInvalid, Settings
from tests.attempting import attempts_request
from tests.faulty_engine import FaultyEngine
from tests.serving import PROMPT, REQUEST_ID, eventually, failure_of, generate_request, read_all, served

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan

TRACE_ID = 0x0AF7651916CD43DD8448EB211C80319C
PARENT_ID = 0xB7AD6B7169203331
TRACED = (("traceparent", f"00-{TRACE_ID:032x}-{PARENT_ID:016x}-01"),)
NOT_SAMPLED = (("traceparent", f"00-{TRACE_ID:032x}-{PARENT_ID:016x}-00"),)
CALL = "stillcue.v1.StillcueService/Generate"
STAGES = ["match", "encode_text", "encode_image", "denoise", "decode"]
PARTS = ["prepare", "queue", *STAGES]


class Traces:
    """A server's tracing, and what it told."""

    def __init__(self) -> None:
        self._exporter = InMemorySpanExporter()
        self.tracing = Tracing(SimpleSpanProcessor(self._exporter))

    @property
    def spans(self) -> list[ReadableSpan]:
        return sorted(self._exporter.get_finished_spans(), key=lambda span: span.start_time or 0)

    async def call(self) -> ReadableSpan:
        """The span of the call, which ends last."""
        await eventually(lambda: any(span.name == CALL for span in self.spans))
        return next(span for span in self.spans if span.name == CALL)


def attributes(span: ReadableSpan) -> dict[str, Any]:
    return dict(span.attributes or {})


async def test_a_clip_is_a_span_for_the_call_and_one_for_each_part_in_the_trace_of_the_caller() -> None:
    traces = Traces()
    async with served(FakeEngine(), traces.tracing) as server:
        await read_all(server.stub.Generate(generate_request(), metadata=TRACED))
        call = await traces.call()
        assert call.context is not None
        assert call.parent is not None
        assert (call.context.trace_id, call.parent.span_id) == (TRACE_ID, PARENT_ID)
        assert call.kind is SpanKind.SERVER
        assert call.status.status_code is StatusCode.UNSET
        assert attributes(call) == {
            "rpc.system": "grpc",
            "rpc.service": "stillcue.v1.StillcueService",
            "rpc.method": "Generate",
            "stillcue.request_id": REQUEST_ID,
            "stillcue.outcome": "completed",
        }
        parts = [span for span in traces.spans if span is not call]
        assert sorted(span.name for span in parts) == sorted(PARTS)
        assert {span.parent.span_id for span in parts if span.parent} == {call.context.span_id}
        for span in parts:
            assert call.start_time is not None
            assert span.start_time is not None
            assert span.end_time is not None
            assert call.end_time is not None
            assert call.start_time <= span.start_time <= span.end_time <= call.end_time
        assert PROMPT not in "".join(span.to_json() for span in traces.spans)
        assert call.resource.attributes["service.name"] == "stillcue"


async def test_without_a_trace_of_the_caller_each_job_is_its_own_and_what_is_not_sampled_is_not_told() -> None:
    traces = Traces()
    async with served(FakeEngine(), traces.tracing) as server:
        await read_all(server.stub.Generate(generate_request(), metadata=NOT_SAMPLED))
        for _ in range(2):
            await read_all(server.stub.Generate(generate_request()))
        await eventually(lambda: len([span for span in traces.spans if span.name == CALL]) == 2)
        roots = [span for span in traces.spans if span.parent is None]
        assert [span.name for span in roots] == [CALL, CALL]
        assert len({span.context.trace_id for span in roots if span.context}) == 2


async def test_a_cancelled_job_ends_its_spans_when_the_engine_is_idle() -> None:
    traces, gate = Traces(), Semaphore(5)
    engine = FakeEngine(gate=gate)
    async with served(engine, traces.tracing) as server:
        call = server.stub.Generate(generate_request())
        await anext(aiter(call))
        await eventually(lambda: len(engine.graph_calls) == 5)
        call.cancel()
        await server.reaches("stillcue_jobs_total{outcome=cancelled}", 1)
        assert not any(span.name in {CALL, "denoise"} for span in traces.spans)
        gate.release()
        span = await traces.call()
        assert attributes(span)["stillcue.outcome"] == "cancelled"
        assert span.status.status_code is StatusCode.UNSET  # not our fault
        assert {item.name for item in traces.spans} == {CALL, *PARTS} - {"decode"}


async def test_a_fault_is_an_error_of_the_call() -> None:
    traces = Traces()
    async with served(FaultyEngine(GraphFailed("a secret path")), traces.tracing) as server:
        await failure_of(server.stub.Generate(generate_request()))
        span = await traces.call()
    assert (span.status.status_code, span.status.description) == (StatusCode.ERROR, "graph_failed")
    assert "secret" not in "".join(item.to_json() for item in traces.spans)


class Collector(trace_service_pb2_grpc.TraceServiceServicer):
    """Keeps what is exported to it."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def Export(self, request: Any, context: Any) -> Any:
        for resource in request.resource_spans:
            for scope in resource.scope_spans:
                self.names += [span.name for span in scope.spans]
        return trace_service_pb2.ExportTraceServiceResponse()


@pytest.mark.parametrize("has_proxy", [False, True])
async def test_a_collector_gets_the_spans_by_the_time_the_server_has_stopped(
    has_proxy: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A proxy of the environment, here one that does not answer, is not asked for a collector on this machine."""
    if has_proxy:
        monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    collector = Collector()
    listening = grpc.server(ThreadPoolExecutor(1))
    register: Any = trace_service_pb2_grpc.add_TraceServiceServicer_to_server
    register(collector, listening)
    port = listening.add_insecure_port("127.0.0.1:0")
    listening.start()
    try:
        async with served(FakeEngine(), otlp_endpoint=f"http://127.0.0.1:{port}") as server:
            await read_all(server.stub.Generate(generate_request()))
    finally:
        listening.stop(None).wait()
    assert sorted(collector.names) == sorted([CALL, *PARTS])


def test_traces_are_off_by_default() -> None:
    assert open_tracing(Settings(engine="fake").otlp_endpoint) is None


def test_a_collector_without_the_libraries_stops_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "server.observability.spans")
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.grpc.trace_exporter", None)
    with pytest.raises(SettingInvalid, match=r"^--otlp-endpoint http://h:1 needs .*; pip install '\.\[otel\]'"):
        open_tracing("http://h:1")


def test_an_endpoint_is_a_url() -> None:
    with pytest.raises(SettingInvalid, match=r"--otlp-endpoint 'localhost:4317' is not http://HOST:PORT"):
        Settings.load(["--engine", "fake", "--otlp-endpoint", "localhost:4317"], {})


async def test_parts_name_their_attempt_and_the_call_tells_how_each_ended() -> None:
    traces = Traces()
    async with served(FakeEngine(), traces.tracing) as server:
        await read_all(server.stub.Generate(attempts_request(4, 3)))
        call = await traces.call()
    parts = [span for span in traces.spans if span.name in STAGES]
    assert sorted((attributes(span)["stillcue.attempt"], span.name) for span in parts) == sorted(
        (attempt, name) for attempt in (1, 2) for name in STAGES
    )
    assert [(event.name, dict(event.attributes or {})) for event in call.events] == [
        (
            "attempt ended",
            {
                "stillcue.attempt": attempt,
                "stillcue.accepted": attempt == 2,
                "stillcue.success": success,
                "stillcue.attempts_end": end,
            },
        )
        for attempt, success, end in ((1, 0.4, ""), (2, 0.5, "accepted"))
    ]
