"""The servicer of the contract. Decodes, delegates to the job service and the engine, and encodes.

Errors are raised; ``interceptors`` turns them into statuses. Whatever ends a stream early (a cancel, a vanished peer, a
deadline) arrives at the ``yield`` of ``Generate``.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import ExitStack, aclosing, asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any

from engine import render_crop, render_heat_map
from engine.api.errors import InvalidJob, NotCompiled
from server.errors.refusals import InvalidRequest, ReaderStalled, refusal_of
from server.errors.rules import rule_of
from server.jobs.deadline import Deadline
from server.observability.job_metrics import JobMetrics
from server.observability.logs import current_request_id
from server.observability.metrics import exemplar_of
from server.rpc.codec.capabilities import capabilities_response
from server.rpc.codec.fields import SCORE_MATCH_PATHS
from server.rpc.codec.reports import score_match_response
from server.rpc.codec.requests import ScoreCall, decode_generate, decode_score_match
from server.rpc.codec.stream import StreamCodec
from server.security.caller import current_caller
from stillcue.v1 import capabilities_pb2, generate_pb2, match_pb2, service_pb2_grpc

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Sequence

    from grpc.aio import ServicerContext

    from engine.api.engine import Engine
    from engine.api.match_report import MatchReport
    from server.jobs.listener import JobListener
    from server.jobs.messages import Message
    from server.observability.metrics import Metrics
    from server.observability.spans import Tracing
    from server.rpc.context import ServerContext
    from server.runtime.readiness import ReadinessGate
    from server.settings import Settings


class StillcueServicer(service_pb2_grpc.StillcueServiceServicer):
    """Answers calls while the readiness gate is open. ``tracing`` None: no traces."""

    def __init__(
        self, gate: ReadinessGate[ServerContext], metrics: Metrics, settings: Settings, tracing: Tracing | None = None
    ) -> None:
        self._gate = gate
        self._metrics = metrics
        self._settings = settings
        self._tracing = tracing

    async def Generate(  # type: ignore[override]  # noqa: N802, D102  named and described by the contract
        self, request: generate_pb2.GenerateRequest, context: ServicerContext[Any, Any]
    ) -> AsyncIterator[Message]:
        arrived_at = time.perf_counter()
        deadline = Deadline(context.time_remaining)
        call = decode_generate(request, self._settings.max_stall_seconds, self._settings.max_resume_seconds)
        current_request_id.set(call.request.request_id)
        with ExitStack() as inside:
            with self._counting_rejections(deadline):
                server = inside.enter_context(self._gate.enter())
                job_request, video = call.choose_video(server.video_support)
                job, first_number = await server.jobs.find_or_admit(
                    job_request,
                    current_caller.get(),
                    deadline,
                    arrived_at=arrived_at,
                    encoder=StreamCodec(server.capabilities, call.frame_encoding, video),
                    make_listeners=lambda: self._listeners(context, call.request.request_id, arrived_at),
                )
            with job.reading(deadline):
                async with aclosing(job.messages(first_number)) as messages:
                    async for message in messages:
                        async with self._timing_stall(call.max_stall_seconds):
                            yield message

    async def CancelGenerate(  # noqa: N802, D102
        self,
        request: generate_pb2.CancelGenerateRequest,
        context: ServicerContext[Any, Any],  # noqa: ARG002
    ) -> generate_pb2.CancelGenerateResponse:
        with self._gate.enter() as server:
            server.jobs.cancel(current_caller.get(), request.request_id)
            current_request_id.set(request.request_id)
            return generate_pb2.CancelGenerateResponse()

    async def ScoreMatch(  # noqa: N802, D102
        self, request: match_pb2.ScoreMatchRequest, context: ServicerContext[Any, Any]
    ) -> match_pb2.ScoreMatchResponse:
        deadline = Deadline(context.time_remaining)
        with self._gate.enter() as server:
            deadline.check()
            report, response = await server.scorers.run(_score, server.engine, decode_score_match(request))
            self._metrics.match_score.observe(report.score, exemplar_of(current_request_id.get()))
            return response

    async def GetCapabilities(  # noqa: N802, D102
        self,
        request: capabilities_pb2.GetCapabilitiesRequest,  # noqa: ARG002
        context: ServicerContext[Any, Any],  # noqa: ARG002
    ) -> capabilities_pb2.GetCapabilitiesResponse:
        with self._gate.enter() as server:
            codecs = server.video_support.encoders
            return capabilities_response(server.capabilities, self._settings.queue_capacity, codecs)

    def _listeners(
        self, context: ServicerContext[Any, Any], request_id: str, arrived_at: float
    ) -> Sequence[JobListener]:
        """Metrics and, where tracing is on, spans of a new job."""
        metrics = JobMetrics(self._metrics, arrived_at, request_id)
        if self._tracing is None:
            return (metrics,)
        metadata: Any = context.invocation_metadata() or ()
        return metrics, self._tracing.job(metadata, request_id, arrived_at)

    @contextmanager
    def _counting_rejections(self, deadline: Deadline) -> Iterator[None]:
        """Counts an error by its reason."""
        try:
            yield
        except asyncio.CancelledError:
            self._metrics.jobs_rejected.labels(rule_of(deadline.cause_of_cancel).label).inc()
            raise
        except Exception as error:
            self._metrics.jobs_rejected.labels(rule_of(error).label).inc()
            raise

    @asynccontextmanager
    async def _timing_stall(self, max_stall_seconds: float) -> AsyncIterator[None]:
        """Measures how long a message waits for its reader. Raises ``ReaderStalled`` after the maximum."""
        ready_at = time.perf_counter()
        try:
            async with asyncio.timeout(max_stall_seconds):
                yield
        except TimeoutError:
            raise ReaderStalled(max_stall_seconds) from None
        finally:
            stall_seconds = time.perf_counter() - ready_at
            self._metrics.stream_stall_seconds.observe(stall_seconds, exemplar_of(current_request_id.get()))


def _score(engine: Engine, call: ScoreCall) -> tuple[MatchReport, match_pb2.ScoreMatchResponse]:
    """Scores a pair, and draws the pictures that the request asks for."""
    try:
        report = engine.score_match(call.image, call.prompt, call.plan)
        crop = render_crop(call.image, report, call.plan, engine.capabilities()) if call.include_crop else b""
    except (InvalidJob, NotCompiled) as error:
        raise refusal_of(error, SCORE_MATCH_PATHS, call.violations) from error
    if call.violations:
        raise InvalidRequest(*call.violations)
    heat_map = render_heat_map(report) if call.include_heat_map else b""
    return report, score_match_response(report, heat_map, crop)
