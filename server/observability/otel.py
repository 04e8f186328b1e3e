"""Spans of jobs by OpenTelemetry. Imported only where a collector is set; needs the extra ``otel``.

The call's span continues the caller's trace (W3C ``traceparent`` in the metadata) and heeds its word on sampling.
Names and attributes of the call are those of OpenTelemetry's conventions for RPC.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import SpanKind, StatusCode, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from engine.api.events import StageStarted
from server import __version__
from server.observability.tracing import JobTrace, Tracing
from stillcue.v1 import service_pb2

if TYPE_CHECKING:
    from collections.abc import Sequence

    from opentelemetry.context import Context
    from opentelemetry.sdk.trace import SpanProcessor
    from opentelemetry.trace import Span, Tracer

    from engine.api.events import Event

_SERVICE: str = service_pb2.DESCRIPTOR.services_by_name["StillcueService"].full_name
_EXPORT_SECONDS = 5
_CLOSE_MILLISECONDS = 5_000


def export_to(endpoint: str) -> Tracing:
    """Exports in batches, on a thread of its own; a collector that does not answer costs spans, never a call."""
    exporter = OTLPSpanExporter(endpoint, insecure=endpoint.startswith("http://"), timeout=_EXPORT_SECONDS)
    return OpenTelemetryTracing(BatchSpanProcessor(exporter))


class OpenTelemetryTracing(Tracing):
    """Hands finished spans to a processor."""

    def __init__(self, processor: SpanProcessor) -> None:
        resource = Resource.create({"service.name": "stillcue", "service.version": __version__})
        self._provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        self._provider.add_span_processor(processor)
        self._tracer = self._provider.get_tracer("stillcue.server", __version__)
        self._propagator = TraceContextTextMapPropagator()

    def job(
        self, metadata: Sequence[tuple[str, str | bytes]], request_id: str, seconds_since_arrival: float
    ) -> JobTrace:
        """See ``Tracing.job``."""
        carrier = {key: value for key, value in metadata if isinstance(value, str)}
        arrived_at = time.time_ns() - round(seconds_since_arrival * 1e9)
        span = self._tracer.start_span(
            f"{_SERVICE}/Generate",
            self._propagator.extract(carrier),
            SpanKind.SERVER,
            {
                "rpc.system": "grpc",
                "rpc.service": _SERVICE,
                "rpc.method": "Generate",
                "stillcue.request_id": request_id,
            },
            start_time=arrived_at,
        )
        return _SpannedJob(self._tracer, span, arrived_at)

    def close(self) -> None:
        """See ``Tracing.close``."""
        self._provider.force_flush(_CLOSE_MILLISECONDS)
        self._provider.shutdown()


class _SpannedJob(JobTrace):
    def __init__(self, tracer: Tracer, call: Span, arrived_at: int) -> None:
        self._tracer = tracer
        self._call = call
        self._context: Context = set_span_in_context(call)
        tracer.start_span("prepare", self._context, start_time=arrived_at).end()
        self._part: Span | None = tracer.start_span("queue", self._context)
        self._is_working = False
        self._is_told = False

    def work_started(self) -> None:
        self._is_working = True
        self._begin(None)

    def event(self, event: Event) -> None:
        if isinstance(event, StageStarted):
            self._begin(event.stage.value)

    def note(self, what: str) -> None:
        self._call.add_event(what)

    def work_ended(self) -> None:
        self._is_working = False
        self._begin(None)
        self._end_where_over()

    def job_ended(self, outcome: str, is_fault: bool) -> None:
        self._is_told = True
        self._call.set_attribute("stillcue.outcome", outcome)
        if is_fault:
            self._call.set_status(StatusCode.ERROR, outcome)
        self._end_where_over()

    def _begin(self, name: str | None) -> None:
        """Ends the part that is on, and begins the next one where there is one."""
        if self._part is not None:
            self._part.end()
        self._part = self._tracer.start_span(name, self._context) if name else None

    def _end_where_over(self) -> None:
        """The call's span covers all of its parts: a stopped job's engine is idle a little after its caller left."""
        if self._is_told and not self._is_working:
            self._begin(None)
            self._call.end()
