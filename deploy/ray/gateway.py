"""The services in Ray's proxy: ``grpc_servicer_functions: [deploy.ray.gateway.add_services]``.

Ray replaces the behaviours of the handlers that are registered here by ones that call a replica. Around these, the
gateway adds what Ray leaves out: the deadline of a call reaches the replica, statuses keep their details, Ray's own
errors lose their stack traces, and a reader that stalls ends its stream.
"""

from __future__ import annotations

import asyncio
import os
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import grpc
import grpc.aio
from google.protobuf.message import DecodeError
from grpc_health.v1 import health_pb2

from deploy.ray.metadata import DEADLINE_HEADER, GENERATE
from deploy.ray.statuses import status_of
from server.errors.refusals import ReaderStalled
from server.rpc.messages import send_status
from server.rpc.status import status_of as status_of_error
from server.settings import Settings
from stillcue.v1 import generate_pb2, service_pb2

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Coroutine

    _Context = grpc.aio.ServicerContext[Any, Any]
    _Handler = grpc.RpcMethodHandler[Any, Any]

_STATUS_METADATA = "grpc-status-details-bin"
_STALL_VARIABLE = "STILLCUE_MAX_STALL_SECONDS"
# Watch would count as a job to Ray's autoscaler; callers that watch fall back to Check.
_HEALTH_METHODS = ("Check", "List")


def add_services(_servicer: object, server: grpc.aio.Server) -> None:
    """Registers the contract and the health service with Ray's gRPC server."""
    contract = service_pb2.DESCRIPTOR.services_by_name["StillcueService"]
    health = health_pb2.DESCRIPTOR.services_by_name["Health"]
    environment = {"STILLCUE_ENGINE": "fake", _STALL_VARIABLE: os.environ.get(_STALL_VARIABLE, "")}
    max_stall_seconds = Settings.load((), environment).max_stall_seconds
    streams = {f"/{contract.full_name}/{method.name}": method.server_streaming for method in contract.methods}
    checks = {f"/{health.full_name}/{name}": False for name in _HEALTH_METHODS}
    for methods in (streams, checks):
        server.add_generic_rpc_handlers((GatewayHandlers(methods, max_stall_seconds),))


class GatewayHandlers(grpc.GenericRpcHandler):  # type: ignore[type-arg]  # not generic at run time
    """The handlers of one service. ``is_stream_by_method`` has the full names of methods as keys."""

    def __init__(self, is_stream_by_method: dict[str, bool], max_stall_seconds: float) -> None:
        self._max_stall_seconds = max_stall_seconds
        # Ray replaces the behaviours in this attribute. Requests stay bytes: the replica parses them.
        self._method_handlers: dict[str, _Handler] = {
            method: (grpc.unary_stream_rpc_method_handler if is_stream else grpc.unary_unary_rpc_method_handler)(
                _behaviour_of_ray
            )
            for method, is_stream in is_stream_by_method.items()
        }

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> _Handler | None:
        """The handler of a call; None: not a method of this service."""
        handler = self._method_handlers.get(handler_call_details.method)
        if handler is None:
            return None
        if not handler.response_streaming:
            return grpc.unary_unary_rpc_method_handler(_answering(handler))
        name = handler_call_details.method.rpartition("/")[2]
        return grpc.unary_stream_rpc_method_handler(self._streaming(handler, is_job=name == GENERATE))

    def _streaming(self, handler: _Handler, *, is_job: bool) -> Any:
        behaviour: Any = handler.unary_stream

        async def serve(request: bytes, context: _Context) -> None:
            call = GatewayCall(context)
            stall_seconds = self._stall_seconds(request) if is_job else self._max_stall_seconds
            messages: AsyncGenerator[bytes, None] = behaviour(request, call)
            try:
                async for message in messages:
                    if not call.is_ended:  # else the message only carries the status
                        await _send(message, context, stall_seconds)
            except BaseException:
                await _finish(_give_up(messages))
                raise
            await call.finish()

        return serve

    def _stall_seconds(self, request: bytes) -> float:
        """The longest stall that the request allows."""
        with suppress(DecodeError):
            stream = generate_pb2.GenerateRequest.FromString(request).stream
            if stream.HasField("max_stall_duration"):
                return min(max(stream.max_stall_duration.ToNanoseconds() / 1e9, 0.01), self._max_stall_seconds)
        return self._max_stall_seconds


@dataclass(frozen=True, slots=True)
class _Status(grpc.Status):
    """The status of a replica."""

    code: grpc.StatusCode
    details: str
    trailing_metadata: Any


class GatewayCall:
    """The context of a call as Ray gets it. Keeps the status back until ``finish``."""

    def __init__(self, context: _Context) -> None:
        self._context = context
        self._code: grpc.StatusCode | None = None
        self._details = ""
        self._trailing: list[tuple[str, Any]] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._context, name)

    @property
    def is_ended(self) -> bool:
        """The replica has set a status that is not OK."""
        return self._code not in {None, grpc.StatusCode.OK}

    def invocation_metadata(self) -> list[tuple[str, Any]]:
        """The caller's metadata, and the deadline."""
        given: Any = self._context.invocation_metadata() or ()
        metadata = [(key, value) for key, value in given if key != DEADLINE_HEADER]
        remaining_seconds = self._context.time_remaining()
        if remaining_seconds is not None:
            metadata.append((DEADLINE_HEADER, f"{time.time() + remaining_seconds:.3f}"))
        return metadata

    def code(self) -> grpc.StatusCode | None:
        """The code so far."""
        return self._code

    def details(self) -> str:
        """The text so far."""
        return self._details

    def trailing_metadata(self) -> list[tuple[str, Any]]:
        """The trailing metadata so far."""
        return self._trailing

    def set_code(self, code: grpc.StatusCode) -> None:
        """Called by Ray."""
        self._code = code

    def set_details(self, details: str) -> None:
        """Called by Ray."""
        self._details = details

    def set_trailing_metadata(self, metadata: list[tuple[str, Any]]) -> None:
        """Called by Ray."""
        self._trailing = list(metadata)

    async def finish(self) -> None:
        """Sends the status: the replica's, or the one for an error of Ray."""
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise asyncio.CancelledError  # Ray swallows the cancel
        if self._code in {None, grpc.StatusCode.OK}:
            return
        if any(key == _STATUS_METADATA for key, _ in self._trailing):
            await send_status(self._context, _Status(self._code, self._details, tuple(self._trailing)))
        await send_status(self._context, status_of(self._code, self._details))


def _answering(handler: _Handler) -> Any:
    behaviour: Any = handler.unary_unary

    async def serve(request: bytes, context: _Context) -> bytes:
        call = GatewayCall(context)
        response: bytes = await behaviour(request, call)
        await call.finish()
        return response

    return serve


async def _send(message: bytes, context: _Context, stall_seconds: float) -> None:
    """Sends one message; ends the call where its reader does not take it in time."""
    try:
        async with asyncio.timeout(stall_seconds):
            await context.write(message)
    except TimeoutError:
        await send_status(context, status_of_error(ReaderStalled(stall_seconds), ""))


async def _finish(work: Coroutine[Any, Any, None]) -> None:
    """Awaits the end of ``work``, also where a cancel arrives meanwhile: gRPC reports a broken call first."""
    task = asyncio.ensure_future(work)
    while not task.done():
        with suppress(asyncio.CancelledError):
            await asyncio.shield(task)


async def _give_up(messages: AsyncGenerator[bytes, None]) -> None:
    """Cancels Ray's part of a call.

    Ray notices a cancel only where it waits for the next message. Closing the generator leaves the replica at work.
    """
    while True:
        waiting = asyncio.ensure_future(anext(messages, None))
        await asyncio.sleep(0)
        if not waiting.done():
            waiting.cancel()
        with suppress(asyncio.CancelledError):
            if await waiting is not None:
                continue
        return


async def _behaviour_of_ray(_request: bytes, _context: _Context) -> None:
    """Ray puts its own behaviour in this place."""
    raise NotImplementedError
