"""The interceptor of every call: counts the call, sets its log id, asks the guard, and turns errors into statuses.

A method that no servicer implements is refused like any call: after the guard, with UNIMPLEMENTED, counted.

Handlers are wrapped so that four things hold which grpc.aio leaves open:

* the guard decides before the request is taken from the wire. grpc.aio reads a single request before it calls a
  handler, so every handler is registered as one of streams, and the one request is read here;
* a call is counted before its status is sent, so that a caller who got the status finds the call in the metrics;
* a request that cannot be parsed gets a status like any other error, so requests are parsed here;
* an error while a message is sent is thrown into the generator at its ``yield``. grpc.aio alone drops the generator
  there, and its ``finally`` blocks run at the next garbage collection.
"""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, NoReturn

import grpc
import grpc.aio

from engine.api.errors import NonFiniteValues, OutOfMemory
from server.errors.refusals import UnknownMethod
from server.errors.rules import is_logged, rule_of
from server.jobs.deadline import Deadline
from server.observability.logs import current_request_id
from server.observability.metrics import UNKNOWN_METHOD, Method, Metrics, exemplar_of
from server.rpc.messages import read_request, request_reader, send_headers, send_status, serialise
from server.rpc.status import status_of
from server.security.caller import current_caller

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable
    from contextlib import AbstractContextManager

    from grpc import HandlerCallDetails, RpcMethodHandler

    from server.security.guard import Guard

    _Handler = RpcMethodHandler[Any, Any]
    _Context = grpc.aio.ServicerContext[Any, Any]

_logger = logging.getLogger(__name__)

# Calls of this method that the guard refuses count as rejected jobs.
_JOB_METHOD = "Generate"


class CallInterceptor(grpc.aio.ServerInterceptor):  # type: ignore[type-arg]  # not generic at run time
    """Wraps the handlers of a server. Calls of ``quiet_service`` are frequent and are logged at level debug.

    ``guard`` None: the port serves nothing that needs one.
    """

    def __init__(self, metrics: Metrics, guard: Guard | None, quiet_service: str) -> None:
        self._metrics = metrics
        self._guard = guard
        self._quiet_service = quiet_service

    async def intercept_service(
        self,
        continuation: Callable[[HandlerCallDetails], Awaitable[_Handler]],
        handler_call_details: HandlerCallDetails,
    ) -> _Handler:
        """Wraps the handler of a call, or refuses a method that has none."""
        handler: _Handler | None = await continuation(handler_call_details)
        service, _, name = handler_call_details.method.removeprefix("/").partition("/")
        if handler is None or not _is_implemented(handler):
            return grpc.stream_stream_rpc_method_handler(self._unknown(service), response_serializer=serialise)
        if handler.unary_unary is not None:
            method = Method("unary", service, name)
            return grpc.stream_stream_rpc_method_handler(self._unary(handler, method), response_serializer=serialise)
        if handler.unary_stream is not None:
            method = Method("server_stream", service, name)
            return grpc.stream_stream_rpc_method_handler(
                self._server_stream(handler, method), response_serializer=serialise
            )
        method = Method("bidi_stream", service, name)
        return grpc.stream_stream_rpc_method_handler(
            self._bidi_stream(handler, method), request_reader(handler), handler.response_serializer
        )

    def _unknown(self, service: str) -> Callable[[Any, _Context], Awaitable[None]]:
        """Refuses a method that ``service`` lacks. The label is "other", since a caller may name any method."""

        async def refuse() -> NoReturn:
            raise UnknownMethod

        async def serve(_requests: Any, context: _Context) -> None:
            await self._serve(UNKNOWN_METHOD, context, refuse, service)

        return serve

    def _unary(self, handler: _Handler, method: Method) -> Callable[[Any, _Context], Awaitable[None]]:
        behaviour: Any = handler.unary_unary

        async def serve(_requests: Any, context: _Context) -> None:
            async def respond() -> None:
                response = await behaviour(await read_request(handler, context), context)
                try:
                    await context.write(response)
                except grpc.aio.InternalError:  # the peer is gone and the cancel is on its way
                    raise asyncio.CancelledError from None
                self._metrics.messages_sent.labels(*method.labels).inc()

            await self._serve(method, context, respond)

        return serve

    def _server_stream(self, handler: _Handler, method: Method) -> Callable[[Any, _Context], Awaitable[None]]:
        behaviour: Any = handler.unary_stream

        async def serve(_requests: Any, context: _Context) -> None:
            async def respond() -> None:
                await self._send_all(behaviour(await read_request(handler, context), context), method, context)

            await self._serve(method, context, respond)

        return serve

    def _bidi_stream(self, handler: _Handler, method: Method) -> Callable[[Any, _Context], Awaitable[None]]:
        behaviour: Any = handler.stream_stream

        async def serve(requests: Any, context: _Context) -> None:
            async def respond() -> None:
                await self._send_all(behaviour(requests, context), method, context)

            await self._serve(method, context, respond)

        return serve

    async def _send_all(self, messages: AsyncGenerator[Any, None], method: Method, context: _Context) -> None:
        try:
            message = await anext(messages)
            is_open = False
            while True:
                try:
                    if not is_open:
                        is_open = True
                        await send_headers(context)
                    await context.write(message)
                except asyncio.CancelledError as error:
                    message = await messages.athrow(error)
                except grpc.aio.InternalError:  # the peer is gone and the cancel is on its way
                    message = await messages.athrow(asyncio.CancelledError())
                else:
                    self._metrics.messages_sent.labels(*method.labels).inc()
                    message = await anext(messages)
        except StopAsyncIteration:
            return

    async def _serve(
        self, method: Method, context: _Context, respond: Callable[[], Awaitable[None]], service: str = ""
    ) -> None:
        """Counts and guards a call. ``service`` is the one to guard where ``method`` is a label only."""
        current_request_id.set(str(uuid.uuid4()))
        deadline = Deadline(context.time_remaining)
        started_at = time.perf_counter()
        self._count_start(method)
        is_let_in = False
        try:
            with self._admit(service or method.grpc_service, method.grpc_method, context):
                is_let_in = True
                await respond()
        except asyncio.CancelledError:
            self._count_end(method, rule_of(deadline.cause_of_cancel).code, time.perf_counter() - started_at)
            raise
        except Exception as error:
            status = status_of(error, current_request_id.get())
            if isinstance(error, OutOfMemory):
                self._metrics.out_of_memory.inc()
            if isinstance(error, NonFiniteValues):
                self._metrics.non_finite.labels(error.stage.value, error.expert.value if error.expert else "").inc()
            if is_logged(error):
                _logger.exception("call failed")
            rule = rule_of(error)
            if not is_let_in and method.grpc_method == _JOB_METHOD:
                self._metrics.jobs_rejected.labels(rule.label).inc()
            self._count_end(method, status.code, time.perf_counter() - started_at, rule.reason)
            await send_status(context, status)
        self._count_end(method, grpc.StatusCode.OK, time.perf_counter() - started_at)

    def _admit(self, service: str, method_name: str, context: _Context) -> AbstractContextManager[None]:
        return nullcontext() if self._guard is None else self._guard.admit(service, method_name, context)

    def _count_start(self, method: Method) -> None:
        self._metrics.calls_started.labels(*method.labels).inc()

    def _count_end(self, method: Method, code: grpc.StatusCode, seconds: float, reason: str = "") -> None:
        self._metrics.calls_handled.labels(*method.labels, code.name).inc()
        exemplar = exemplar_of(current_request_id.get())
        self._metrics.call_seconds.labels(*method.labels).observe(seconds, exemplar)
        level = logging.DEBUG if method.grpc_service == self._quiet_service else logging.INFO
        fields = {
            "service": method.grpc_service,
            "method": method.grpc_method,
            "code": code.name,
            "seconds": round(seconds, 4),
        }
        if reason:
            fields["reason"] = reason
        if caller_name := current_caller.get().name:
            fields["caller"] = caller_name
        _logger.log(level, "call ended", extra={"fields": fields})


def _is_implemented(handler: _Handler) -> bool:
    """Returns False for a method that only generated code defines, which raises NotImplementedError.

    A newer library of health or reflection registers methods that this server does not know.
    """
    behaviour = handler.unary_unary or handler.unary_stream or handler.stream_stream
    return not getattr(behaviour, "__module__", "").endswith("_pb2_grpc")
