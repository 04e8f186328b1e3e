"""The interceptor of every call: counts the call, sets its log id, asks the guard, and turns errors into statuses.

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
from typing import TYPE_CHECKING, Any, NoReturn

import grpc
import grpc.aio

from engine.api.errors import NonFiniteValues, OutOfMemory
from server.errors.refusals import MalformedRequest
from server.errors.rules import is_logged, rule_of
from server.jobs.deadline import Deadline
from server.observability.logs import current_request_id
from server.observability.metrics import UNKNOWN_METHOD, Method, Metrics, exemplar_of
from server.rpc.status import status_of
from server.security.caller import current_caller

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

    from grpc import HandlerCallDetails, RpcMethodHandler

    from server.security.guard import Guard

    _Handler = RpcMethodHandler[Any, Any]
    _Context = grpc.aio.ServicerContext[Any, Any]

_logger = logging.getLogger(__name__)

# A status waits behind the messages that the reader has not taken yet. The handler waits for its delivery no longer
# than this.
_STATUS_SECONDS = 0.5
# Calls of this method that the guard refuses count as rejected jobs.
_JOB_METHOD = "Generate"


class CallInterceptor(grpc.aio.ServerInterceptor):  # type: ignore[type-arg]  # not generic at run time
    """Wraps the handlers of a server. Calls of ``quiet_service`` are frequent and are logged at level debug."""

    def __init__(self, metrics: Metrics, guard: Guard, quiet_service: str) -> None:
        self._metrics = metrics
        self._guard = guard
        self._quiet_service = quiet_service

    async def intercept_service(
        self,
        continuation: Callable[[HandlerCallDetails], Awaitable[_Handler]],
        handler_call_details: HandlerCallDetails,
    ) -> _Handler:
        """Wraps the handler of a call, or counts a call without a handler."""
        handler: _Handler | None = await continuation(handler_call_details)
        if handler is None:
            self._count_start(UNKNOWN_METHOD)
            self._count_end(UNKNOWN_METHOD, grpc.StatusCode.UNIMPLEMENTED, 0.0)
            return handler  # type: ignore[return-value]  # grpc.aio answers UNIMPLEMENTED
        _, service, name = handler_call_details.method.split("/")
        if handler.unary_unary is not None:
            method = Method("unary", service, name)
            return grpc.stream_stream_rpc_method_handler(self._unary(handler, method), response_serializer=_write)
        if handler.unary_stream is not None:
            method = Method("server_stream", service, name)
            return grpc.stream_stream_rpc_method_handler(
                self._server_stream(handler, method), response_serializer=_write
            )
        method = Method("bidi_stream", service, name)
        return grpc.stream_stream_rpc_method_handler(
            self._bidi_stream(handler, method), _reader(handler), handler.response_serializer
        )

    def _unary(self, handler: _Handler, method: Method) -> Callable[[Any, _Context], Awaitable[None]]:
        behaviour: Any = handler.unary_unary

        async def serve(_requests: Any, context: _Context) -> None:
            async def respond() -> None:
                response = await behaviour(await _read(handler, context), context)
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
                await self._send_all(behaviour(await _read(handler, context), context), method, context)

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
                        await _open(context)
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

    async def _serve(self, method: Method, context: _Context, respond: Callable[[], Awaitable[None]]) -> None:
        current_request_id.set(str(uuid.uuid4()))
        deadline = Deadline(context.time_remaining)
        started_at = time.perf_counter()
        self._count_start(method)
        is_let_in = False
        try:
            with self._guard.admit(method.grpc_service, method.grpc_method, context):
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
            await _send_status(context, status)
        self._count_end(method, grpc.StatusCode.OK, time.perf_counter() - started_at)

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


def _write(message: Any) -> bytes:
    """Serialises a protobuf message, or an object that serialises like one."""
    return message.SerializeToString()  # type: ignore[no-any-return]


async def _read(handler: _Handler, context: _Context) -> Any:
    data = await context.read()
    if data is grpc.aio.EOF:  # type: ignore[attr-defined]  # the stubs lack it
        # gRPC refused the request for its size, or the caller is gone: then a cancel follows. Otherwise the caller
        # sent no request.
        await asyncio.sleep(_STATUS_SECONDS)
        raise MalformedRequest
    return _reader(handler)(data)


def _reader(handler: _Handler) -> Callable[[bytes], Any]:
    def read(data: bytes) -> Any:
        try:
            return handler.request_deserializer(data)  # type: ignore[misc]  # every handler of stubs has one
        except Exception as error:  # protobuf's parsers raise types of their own
            raise MalformedRequest from error

    return read


async def _open(context: _Context) -> None:
    """Sends the headers before the first message, to the end even where the handler is cancelled meanwhile.

    grpc.aio records that the headers are sent when the first write returns. A cancelled write has sent them without
    that record; gRPC would refuse to send them again with the status, and the caller would wait for ever.
    """
    opening = asyncio.ensure_future(context.send_initial_metadata(()))
    try:
        await asyncio.shield(opening)
    except asyncio.CancelledError:
        await asyncio.gather(opening, return_exceptions=True)
        raise


async def _send_status(context: _Context, status: grpc.Status) -> NoReturn:
    try:
        async with asyncio.timeout(_STATUS_SECONDS):
            await context.abort(status.code, status.details, status.trailing_metadata)
    except (TimeoutError, grpc.aio.InternalError):  # the reader is too slow for it, or gone
        raise asyncio.CancelledError from None
