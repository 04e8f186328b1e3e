"""Requests, messages, headers and status of one call on the wire, where grpc.aio leaves the order or the end open."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, NoReturn

import grpc
import grpc.aio

from server.errors.refusals import MalformedRequest

if TYPE_CHECKING:
    from collections.abc import Callable

    from grpc import RpcMethodHandler

    _Handler = RpcMethodHandler[Any, Any]
    _Context = grpc.aio.ServicerContext[Any, Any]

# A status waits behind the messages that the reader has not taken yet. The handler waits for its delivery no longer
# than this.
_STATUS_SECONDS = 0.5


def serialise(message: Any) -> bytes:
    """Serialises a protobuf message, or an object that serialises like one."""
    return message.SerializeToString()  # type: ignore[no-any-return]


async def read_request(handler: _Handler, context: _Context) -> Any:
    """The only request of a call. Raises ``MalformedRequest`` where there is none, or where it cannot be parsed."""
    data = await context.read()
    if data is grpc.aio.EOF:  # type: ignore[attr-defined]  # the stubs lack it
        # gRPC refused the request for its size, or the caller is gone: then a cancel follows. Otherwise the caller
        # sent no request.
        await asyncio.sleep(_STATUS_SECONDS)
        raise MalformedRequest
    return request_reader(handler)(data)


def request_reader(handler: _Handler) -> Callable[[bytes], Any]:
    """The parser of a handler's requests. Raises ``MalformedRequest`` for what cannot be parsed."""

    def read(data: bytes) -> Any:
        try:
            return handler.request_deserializer(data)  # type: ignore[misc]  # every handler of stubs has one
        except Exception as error:  # protobuf's parsers raise types of their own
            raise MalformedRequest from error

    return read


async def send_headers(context: _Context) -> None:
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


async def send_status(context: _Context, status: grpc.Status) -> NoReturn:
    """Ends the call with a status. Raises ``CancelledError`` where the caller does not take the status in time."""
    try:
        async with asyncio.timeout(_STATUS_SECONDS):
            await context.abort(status.code, status.details, status.trailing_metadata)
    except (TimeoutError, grpc.aio.InternalError):  # the reader is too slow for it, or gone
        raise asyncio.CancelledError from None
