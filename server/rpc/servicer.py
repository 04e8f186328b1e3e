"""The service of the contract. Translates and delegates; errors are raised, the interceptor turns them into statuses.

Handlers are coroutines and async generators only. Whatever ends a stream early (a cancel, a vanished peer, a
deadline) arrives at the ``yield`` of ``Generate``; see ``interceptors``.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import ExitStack, aclosing, asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any

from engine import render_crop, render_heat_map
from engine.api.errors import Cancelled, EngineError, InvalidJob, NotCompiled
from server.errors import DeadlinePassed, InvalidRequest, ReaderStalled, refusal_of, rule_of
from server.jobs.deadline import Deadline
from server.jobs.job import Generation
from server.jobs.registry import JobKey
from server.observability.job_metrics import JobMeter
from server.observability.logs import current_request_id
from server.observability.metrics import exemplar_of
from server.observability.tracing import NO_TRACING
from server.rpc import codec
from server.security.caller import current_caller
from stillcue.v1 import capabilities_pb2, generate_pb2, match_pb2, service_pb2_grpc

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from grpc.aio import ServicerContext

    from engine.api.engine import Engine
    from engine.api.job import PreparedJob
    from engine.api.match_report import MatchReport
    from server.observability.metrics import Metrics
    from server.observability.tracing import Tracing
    from server.rpc.context import Serving
    from server.runtime.readiness import Gate
    from server.security.quotas import Quotas
    from server.settings import Settings


class StillcueServicer(service_pb2_grpc.StillcueServiceServicer):
    """Answers calls as soon as the gate lets them in."""

    def __init__(
        self,
        gate: Gate[Serving],
        quotas: Quotas,
        metrics: Metrics,
        settings: Settings,
        tracing: Tracing = NO_TRACING,
    ) -> None:
        self._tracing = tracing
        self._gate = gate
        self._quotas = quotas
        self._metrics = metrics
        self._settings = settings

    async def Generate(  # type: ignore[override]  # noqa: N802, D102  named and described by the contract
        self, request: generate_pb2.GenerateRequest, context: ServicerContext[Any, Any]
    ) -> AsyncIterator[codec.Outgoing]:
        arrived_at = time.perf_counter()
        deadline = Deadline(context)
        call = codec.decode_generate(request, self._settings.max_stall_seconds, self._settings.max_resume_seconds)
        current_request_id.set(call.request_id)
        with ExitStack() as inside:
            with self._counting_rejections(deadline):
                serving = inside.enter_context(self._gate.enter())
                generation, number = await self._find_or_admit(call, request, serving, context, arrived_at)
            with generation.reading(deadline):
                async with aclosing(generation.messages(number)) as messages:
                    async for message in messages:
                        async with self._patience(call.max_stall_seconds):
                            yield message

    async def CancelGenerate(  # noqa: N802, D102
        self,
        request: generate_pb2.CancelGenerateRequest,
        context: ServicerContext[Any, Any],  # noqa: ARG002
    ) -> generate_pb2.CancelGenerateResponse:
        with self._gate.enter() as serving:
            job = serving.replays.find(JobKey(current_caller.get().name, request.request_id))
            current_request_id.set(request.request_id)
            job.give_up(Cancelled("the caller cancelled the job"))
            return generate_pb2.CancelGenerateResponse()

    async def ScoreMatch(  # noqa: N802, D102
        self, request: match_pb2.ScoreMatchRequest, context: ServicerContext[Any, Any]
    ) -> match_pb2.ScoreMatchResponse:
        deadline = Deadline(context)
        with self._gate.enter() as serving:
            if deadline.is_over:
                raise DeadlinePassed
            call = codec.decode_score_match(request)
            report, response = await serving.scorers.run(_score, serving.engine, call)
            self._metrics.match_score.observe(report.score, exemplar_of(current_request_id.get()))
            return response

    async def GetCapabilities(  # noqa: N802, D102
        self,
        request: capabilities_pb2.GetCapabilitiesRequest,  # noqa: ARG002
        context: ServicerContext[Any, Any],  # noqa: ARG002
    ) -> capabilities_pb2.GetCapabilitiesResponse:
        with self._gate.enter() as serving:
            return codec.capabilities_response(serving.capabilities, self._settings.queue_capacity)

    async def _find_or_admit(
        self,
        call: codec.GenerateCall,
        request: generate_pb2.GenerateRequest,
        serving: Serving,
        context: ServicerContext[Any, Any],
        arrived_at: float,
    ) -> tuple[Generation, int]:
        """The job of a call, and the number of the event that its stream begins with."""
        key = JobKey(current_caller.get().name, call.request_id)
        if request.resume_token:
            if call.violations or call.resume_token is None:
                raise InvalidRequest(*call.violations)
            generation = serving.replays.find(key)
            return generation, generation.join(call.resume_token)
        digest = b""
        if call.resume_window_seconds:
            digest = await serving.preparers.run(codec.request_digest, request)
            if (same := serving.replays.find_same(key, digest)) is not None:
                return same, same.join(None)
        held = ExitStack()
        with ExitStack() as unless_placed:
            unless_placed.callback(held.close)
            held.enter_context(self._quotas.job(current_caller.get()))
            deadline = Deadline(context)
            prepared = await _prepare_in_turn(call, serving, deadline)
            if call.resume_window_seconds and (same := serving.replays.find_same(key, digest)) is not None:
                return same, same.join(None)  # its own first call was prepared at the same time
            estimate = serving.estimates.of(prepared)
            deadline.check(estimate, serving.admission.wait_seconds(key.caller_name))
            metadata: Any = context.invocation_metadata() or ()
            trace = self._tracing.job(metadata, call.request_id, time.perf_counter() - arrived_at)
            generation = Generation(
                call,
                prepared,
                serving,
                JobMeter(self._metrics, arrived_at, call.request_id, trace),
                key=key,
                request_digest=digest,
                estimate=estimate,
                on_over=held.close,
            )
            unless_placed.pop_all()
        return generation, 0

    @contextmanager
    def _counting_rejections(self, deadline: Deadline) -> Iterator[None]:
        """Counts an error under its reason, in lower case."""
        try:
            yield
        except asyncio.CancelledError:
            self._metrics.jobs_rejected.labels(deadline.code_of_cancel.name.lower()).inc()
            raise
        except Exception as error:
            self._metrics.jobs_rejected.labels(rule_of(error).reason.lower()).inc()
            raise

    @asynccontextmanager
    async def _patience(self, max_stall_seconds: float) -> AsyncIterator[None]:
        ready_at = time.perf_counter()
        try:
            async with asyncio.timeout(max_stall_seconds):
                yield
        except TimeoutError:
            raise ReaderStalled(max_stall_seconds) from None
        finally:
            stall_seconds = time.perf_counter() - ready_at
            self._metrics.stream_stall_seconds.observe(stall_seconds, exemplar_of(current_request_id.get()))


async def _prepare_in_turn(call: codec.GenerateCall, serving: Serving, deadline: Deadline) -> PreparedJob:
    if deadline.is_over:
        raise DeadlinePassed
    serving.admission.check()
    return await serving.preparers.run(_prepare, serving.engine, call)


def _prepare(engine: Engine, call: codec.GenerateCall) -> PreparedJob:
    """Prepares a job; what the wire and the engine find wrong is reported together."""
    try:
        prepared = engine.prepare(call.job)
    except (InvalidJob, NotCompiled) as error:
        raise refusal_of(error, codec.GENERATE_PATHS, call.violations) from error
    except EngineError:
        if not call.violations:
            raise
    else:
        if not call.violations:
            return prepared
    raise InvalidRequest(*call.violations)


def _score(engine: Engine, call: codec.ScoreCall) -> tuple[MatchReport, match_pb2.ScoreMatchResponse]:
    """Scores a pair and draws what was asked for."""
    try:
        report = engine.score_match(call.image, call.prompt, call.plan)
    except (InvalidJob, NotCompiled) as error:
        raise refusal_of(error, codec.SCORE_MATCH_PATHS, call.violations) from error
    if call.violations:
        raise InvalidRequest(*call.violations)
    heat_map = render_heat_map(report) if call.include_heat_map else b""
    crop = render_crop(call.image, report, call.plan, engine.capabilities()) if call.include_crop else b""
    return report, codec.score_match_response(report, heat_map, crop)
