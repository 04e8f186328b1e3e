"""Spans of jobs by OpenTelemetry. Imported only where a collector is set; needs the extra ``otel``.

A job has a span for its call, one for the wait and one for each stage of the engine; each segment of a chain has spans
of its own. The span of the call continues the caller's trace (W3C ``traceparent`` in the metadata) and follows its
sampling decision. The names and attributes of the call are those of OpenTelemetry's conventions for RPC. No span holds
a prompt, a picture or a token.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import SpanKind, StatusCode, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from engine.api.chain import ChainStop, SegmentStarted
from engine.api.events import Chain, JobDone, SegmentDone, StageStarted
from server import __version__
from server.errors.rules import is_server_fault, rule_of
from server.jobs.listener import JobListener
from stillcue.channel import is_loopback
from stillcue.proxies import DIRECT
from stillcue.v1 import service_pb2

if TYPE_CHECKING:
    from collections.abc import Sequence

    from opentelemetry.context import Context
    from opentelemetry.sdk.trace import SpanProcessor
    from opentelemetry.trace import Span, Tracer

    from engine.api.events import Event
    from server.jobs.attempts import AttemptResult, AttemptsEnd

_SERVICE: str = service_pb2.DESCRIPTOR.services_by_name["StillcueService"].full_name
_EXPORT_SECONDS = 5
_CLOSE_MILLISECONDS = 5_000


def export_to(endpoint: str) -> Tracing:
    """Exports in batches on a thread of its own; a collector that does not answer loses spans and delays no call.

    A collector on this machine is called without a proxy, which would read the headers of the exporter.
    """
    exporter = OTLPSpanExporter(
        endpoint,
        insecure=endpoint.startswith("http://"),
        timeout=_EXPORT_SECONDS,
        channel_options=DIRECT if is_loopback(urlsplit(endpoint).netloc) else None,  # type: ignore[arg-type]
    )
    return Tracing(BatchSpanProcessor(exporter))


class Tracing:
    """Makes the spans of jobs and hands finished ones to a processor."""

    def __init__(self, processor: SpanProcessor) -> None:
        resource = Resource.create({"service.name": "stillcue", "service.version": __version__})
        self._provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        self._provider.add_span_processor(processor)
        self._tracer = self._provider.get_tracer("stillcue.server", __version__)
        self._propagator = TraceContextTextMapPropagator()

    def job(self, metadata: Sequence[tuple[str, str | bytes]], request_id: str, arrived_at: float) -> JobSpans:
        """The listener that traces a job whose call has this metadata.

        ``arrived_at`` is when the request came, on the clock of ``time.perf_counter``.
        """
        carrier = {key: value for key, value in metadata if isinstance(value, str)}
        start_time = time.time_ns() - round((time.perf_counter() - arrived_at) * 1e9)
        call = self._tracer.start_span(
            f"{_SERVICE}/Generate",
            self._propagator.extract(carrier),
            SpanKind.SERVER,
            {
                "rpc.system": "grpc",
                "rpc.service": _SERVICE,
                "rpc.method": "Generate",
                "stillcue.request_id": request_id,
            },
            start_time=start_time,
        )
        return JobSpans(self._tracer, call, start_time)

    def close(self) -> None:
        """Exports the remaining spans; blocks for up to 5 seconds."""
        self._provider.force_flush(_CLOSE_MILLISECONDS)
        self._provider.shutdown()


class JobSpans(JobListener):
    """The spans of one job. ``start_time`` of the call is in nanoseconds of Unix time."""

    def __init__(self, tracer: Tracer, call: Span, start_time: int) -> None:
        self._tracer = tracer
        self._call = call
        self._context: Context = set_span_in_context(call)
        tracer.start_span("prepare", self._context, start_time=start_time).end()
        self._part: Span | None = tracer.start_span("queue", self._context)
        self._attempt, self._segment = 1, 0
        self._is_working = False
        self._is_outcome_known = False

    def work_started(self, queue_seconds: float) -> None:  # noqa: ARG002
        """See ``JobListener``."""
        self._is_working = True
        self._start_part(None)

    def engine_event(self, event: Event) -> None:
        """See ``JobListener``."""
        match event:
            case SegmentStarted(number=number):
                self._segment = number
            case StageStarted(stage=stage):
                self._start_part(stage.value)
            case SegmentDone():
                self._start_part(None)
            case JobDone(chain=Chain(stop=ChainStop(number=number))):
                self._call.add_event("chain stopped", {"stillcue.segment": number})

    def attempt_ended(self, result: AttemptResult, end: AttemptsEnd | None) -> None:
        """See ``JobListener``."""
        self._start_part(None)
        self._call.add_event(
            "attempt ended",
            {
                "stillcue.attempt": result.number,
                "stillcue.accepted": result.is_accepted,
                "stillcue.success": result.probability,
                "stillcue.attempts_end": "" if end is None else end.value,
            },
        )

    def attempt_started(self, number: int) -> None:
        """See ``JobListener``."""
        self._attempt = number

    def retried(self) -> None:
        """See ``JobListener``."""
        self._call.add_event("begun again")

    def resumed(self) -> None:
        """See ``JobListener``."""
        self._call.add_event("stream taken up again")

    def work_ended(self, ended_at: float) -> None:  # noqa: ARG002
        """See ``JobListener``."""
        self._is_working = False
        self._start_part(None)
        self._end_call()

    def outcome_known(self, error: BaseException | None) -> None:
        """See ``JobListener``."""
        self._is_outcome_known = True
        outcome = "completed" if error is None else rule_of(error).label
        self._call.set_attribute("stillcue.outcome", outcome)
        if error is not None and is_server_fault(error):
            self._call.set_status(StatusCode.ERROR, outcome)
        self._end_call()

    def _start_part(self, name: str | None) -> None:
        """Ends the present part, and starts the next one where it has a name."""
        if self._part is not None:
            self._part.end()
        attributes = {"stillcue.attempt": self._attempt} if self._is_working else {}
        if self._segment:
            attributes["stillcue.segment"] = self._segment
        self._part = self._tracer.start_span(name, self._context, attributes=attributes) if name else None

    def _end_call(self) -> None:
        """Ends the span of the call after all of its parts: the engine of a stopped job works on for a moment."""
        if self._is_outcome_known and not self._is_working:
            self._start_part(None)
            self._call.end()
