"""One call of Ray Serve, put through the interceptor and the servicer as if it had come from a gRPC port."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

import grpc
import grpc.aio

from deploy.ray.metadata import DEADLINE_HEADER

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from grpc import RpcMethodHandler
    from ray.serve.grpc_util import RayServegRPCContext

    from server.rpc.interceptors import CallInterceptor


@dataclass(frozen=True, slots=True)
class SerialisedMessage:
    """A message as Ray takes it from a replica."""

    data: bytes

    def SerializeToString(self) -> bytes:  # noqa: N802  Ray calls it by this name
        """The bytes of the message."""
        return self.data


# Carries a status that is not OK; the gateway does not send it.
STATUS_CARRIER = SerialisedMessage(b"")


class RayCall:
    """The part of ``grpc.aio.ServicerContext`` that the server uses. ``request`` is the serialised request."""

    def __init__(self, request: bytes, context: RayServegRPCContext) -> None:
        self._request = request
        self._context = context
        self._deadline = _deadline_of(context.invocation_metadata())
        # Ray takes every message at once, so the queue stays short.
        self.messages: asyncio.Queue[SerialisedMessage | None] = asyncio.Queue()

    def invocation_metadata(self) -> list[tuple[str, Any]]:
        """The metadata that the caller sent."""
        return self._context.invocation_metadata()

    def auth_context(self) -> dict[str, Any]:
        """Empty: Ray's proxy speaks plain text."""
        return self._context.auth_context()

    def time_remaining(self) -> float | None:
        """Seconds until the caller's deadline; None: the call has no deadline."""
        return None if self._deadline is None else self._deadline - time.time()

    async def read(self) -> bytes:
        """The request."""
        return self._request

    async def send_initial_metadata(self, metadata: tuple[()]) -> None:
        """Ray sends the headers with the first message."""

    async def write(self, message: Any) -> None:
        """Hands a message to Ray."""
        self.messages.put_nowait(SerialisedMessage(message.SerializeToString()))

    async def abort(self, code: grpc.StatusCode, details: str, trailing_metadata: Any = ()) -> NoReturn:
        """Ends the call with a status.

        Ray forgets the trailing metadata of a handler that raises, so the status travels with an empty message.
        """
        self._context.set_code(code)
        self._context.set_details(details)
        self._context.set_trailing_metadata(list(trailing_metadata))
        self.messages.put_nowait(STATUS_CARRIER)
        raise grpc.aio.AbortError


class HandlerTable:
    """Takes services as a gRPC server does; ``by_method`` holds their handlers by the full name of the method."""

    def __init__(self) -> None:
        self.by_method: dict[str, RpcMethodHandler[Any, Any]] = {}

    def add_generic_rpc_handlers(self, handlers: Any) -> None:
        """Called by generated code, with the handlers that it registers by name too."""

    def add_registered_method_handlers(self, service: str, handlers: dict[str, RpcMethodHandler[Any, Any]]) -> None:
        """Called by generated code."""
        self.by_method |= {f"/{service}/{name}": handler for name, handler in handlers.items()}


class CallServer:
    """Serves calls of the methods of a servicer, which ``handlers`` lists by their full names."""

    def __init__(self, interceptor: CallInterceptor, handlers: dict[str, RpcMethodHandler[Any, Any]]) -> None:
        self._interceptor = interceptor
        self._handlers = handlers

    async def stream(
        self, method: str, request: bytes, context: RayServegRPCContext
    ) -> AsyncGenerator[SerialisedMessage, None]:
        """The messages of a call. Closing the generator, or cancelling its task, cancels the call."""
        call = RayCall(request, context)
        serving = asyncio.create_task(self._serve(method, call))
        serving.add_done_callback(lambda _: call.messages.put_nowait(None))
        try:
            while (message := await call.messages.get()) is not None:
                yield message
            await serving
        finally:
            serving.cancel()
            await asyncio.gather(serving, return_exceptions=True)

    async def answer(self, method: str, request: bytes, context: RayServegRPCContext) -> SerialisedMessage:
        """The only message of a call."""
        messages = self.stream(method, request, context)
        try:
            return await anext(messages)
        finally:
            await messages.aclose()

    async def _serve(self, method: str, call: RayCall) -> None:
        async def find(_details: Any) -> RpcMethodHandler[Any, Any]:
            return self._handlers[method]

        handler = await self._interceptor.intercept_service(find, _CallDetails(method))
        serve: Callable[[Any, Any], Any] = handler.stream_stream  # type: ignore[assignment]
        try:
            await serve(None, call)
        except grpc.aio.AbortError:
            return


class _CallDetails(grpc.HandlerCallDetails):
    def __init__(self, method: str) -> None:
        self.method = method
        self.invocation_metadata = ()


def _deadline_of(metadata: list[tuple[str, Any]]) -> float | None:
    """The deadline that the gateway added, in Unix time."""
    return next((float(value) for key, value in metadata if key == DEADLINE_HEADER), None)
