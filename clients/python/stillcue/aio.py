"""The asynchronous client: ``stillcue.client`` with ``await``. Knows channels, calls and task cancellation.

One client and its streams belong to one event loop.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, cast

import grpc.aio

from stillcue.channel import CHANNEL_OPTIONS, call_metadata, channel_credentials
from stillcue.ordering import OrderedDecoder
from stillcue.reports import decode_score
from stillcue.request import generate_request, score_match_request
from stillcue.response import decode_capabilities
from stillcue.status import closed_client, error_of
from stillcue.v1 import capabilities_pb2, service_pb2_grpc

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable
    from typing import Self, TypeVar, Unpack

    from stillcue.capabilities import Capabilities
    from stillcue.events import Event, MatchReport
    from stillcue.request import GenerateOptions, Picture, ScoreOptions
    from stillcue.v1 import generate_pb2

    _Response = TypeVar("_Response")


class AsyncEventStream:
    """The events of one Generate call, in order: an asynchronous iterator that is also a context manager.

    Closing it before its end cancels the call on the server, and so does leaving its ``async with`` block,
    cancelling the task that waits on it, or closing its client. ``request_id`` is the job's name in the
    server's logs.
    """

    def __init__(
        self,
        call: grpc.aio.UnaryStreamCall[generate_pb2.GenerateRequest, generate_pb2.GenerateResponse],
        request_id: str,
    ) -> None:
        self.request_id = request_id
        self._call = call
        self._decoder = OrderedDecoder(request_id)
        self._has_ended = False

    def __aiter__(self) -> AsyncIterator[Event]:
        return self

    async def __anext__(self) -> Event:
        """Waits for the next event. Raises ``StillcueError`` where the call failed."""
        if self._has_ended:
            raise StopAsyncIteration
        try:
            while (response := await _translated(self._call.read(), self.request_id)) is not grpc.aio.EOF:  # type: ignore[attr-defined]
                event = self._decoder.decode(cast("generate_pb2.GenerateResponse", response))
                if event is not None:
                    return event
        except BaseException:  # the call is over, or out of order, or its reader was cancelled
            await self.aclose()
            raise
        self._has_ended = True
        self._decoder.finish()
        raise StopAsyncIteration

    async def aclose(self) -> None:
        """Cancels the call unless it is over. Iterating ends."""
        self._has_ended = True
        self._call.cancel()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exception_info: object) -> None:
        await self.aclose()


class AsyncClient:
    """A connection to one Stillcue server, for asyncio. Arguments, methods and errors are those of ``Client``.

    Make it inside the event loop that uses it.
    """

    def __init__(
        self,
        target: str,
        *,
        tls: bool | None = None,
        root_certificates: bytes | None = None,
        certificate_chain: bytes | None = None,
        private_key: bytes | None = None,
        token: str | None = None,
    ) -> None:
        credentials = channel_credentials(
            target,
            tls=tls,
            root_certificates=root_certificates,
            certificate_chain=certificate_chain,
            private_key=private_key,
        )
        self._metadata = call_metadata(token, target, is_encrypted=credentials is not None)
        self._channel = (
            grpc.aio.insecure_channel(target, options=CHANNEL_OPTIONS)
            if credentials is None
            else grpc.aio.secure_channel(target, credentials, options=CHANNEL_OPTIONS)
        )
        # The generated stub serves both kinds of channel; only its type has two names.
        self._stub = cast(
            "service_pb2_grpc.StillcueServiceAsyncStub", service_pb2_grpc.StillcueServiceStub(self._channel)
        )

    def generate(
        self,
        picture: Picture,
        prompt: str,
        *,
        timeout_seconds: float | None = None,
        **options: Unpack[GenerateOptions],
    ) -> AsyncEventStream:
        """Generates a clip that starts from ``picture`` and follows ``prompt``. Not awaited itself.

        The call starts at once; its events are read from the stream that this returns. For the options see
        ``stillcue.GenerateOptions``.
        """
        request = generate_request(picture, prompt, options)
        call = self._stub.Generate(request, timeout=timeout_seconds, metadata=self._metadata)
        return AsyncEventStream(call, request.request_id)

    async def score_match(
        self,
        picture: Picture,
        prompt: str,
        *,
        timeout_seconds: float | None = None,
        **options: Unpack[ScoreOptions],
    ) -> MatchReport:
        """Scores how well a picture and a sentence match, and says what to change, without generating anything.

        For the options see ``stillcue.ScoreOptions``.
        """
        request = score_match_request(picture, prompt, options)
        call = self._stub.ScoreMatch(request, timeout=timeout_seconds, metadata=self._metadata)
        response = await _translated(call)
        return decode_score(response)

    async def capabilities(self, *, timeout_seconds: float | None = None) -> Capabilities:
        """Tells what the server has loaded: model, sizes, defaults and limits."""
        request = capabilities_pb2.GetCapabilitiesRequest()
        call = self._stub.GetCapabilities(request, timeout=timeout_seconds, metadata=self._metadata)
        response = await _translated(call)
        return decode_capabilities(response)

    async def aclose(self) -> None:
        """Closes the connection and cancels calls that still run."""
        await self._channel.close(grace=None)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exception_info: object) -> None:
        await self.aclose()


async def _translated(waiting: Awaitable[_Response], request_id: str | None = None) -> _Response:
    """Awaits a call's answer with its errors translated.

    gRPC raises ``CancelledError`` for a call that this side cancelled; where nobody cancelled the task itself,
    that is the call's end and not the task's.
    """
    try:
        return await waiting
    except grpc.aio.AioRpcError as error:
        raise error_of(error, request_id) from error
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise
        raise closed_client(request_id) from None
