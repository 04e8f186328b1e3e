"""The asynchronous client, with the methods and errors of ``stillcue.client``.

One client and its streams belong to one event loop.
"""

from __future__ import annotations

import asyncio
import weakref
from contextlib import suppress
from typing import TYPE_CHECKING, cast

import grpc.aio

from stillcue.busy import BusyPolicy, BusyRetries, is_broken
from stillcue.channel import call_metadata, channel_credentials, channel_options, checked_target, proxy_note
from stillcue.errors import StillcueError
from stillcue.ordering import OrderedDecoder
from stillcue.reports import decode_score
from stillcue.request import generate_request, score_match_request
from stillcue.response import decode_capabilities
from stillcue.resumption import CANCEL_SECONDS, Countdown, Resumption
from stillcue.status import closed_client, error_of
from stillcue.v1 import capabilities_pb2, generate_pb2, service_pb2_grpc

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from typing import Self, TypeVar, Unpack

    from google.protobuf.message import Message

    from stillcue.capabilities import Capabilities
    from stillcue.events import Event, MatchReport
    from stillcue.request import GenerateOptions, Picture, ScoreOptions

    _Response = TypeVar("_Response")


class AsyncEventStream:
    """The events of one clip, in order: an asynchronous iterator that is also a context manager.

    A broken stream is resumed, as in ``stillcue.client``. The job on the server is cancelled by closing the stream
    before its end, leaving its ``async with`` block, cancelling the task that waits for an event, or closing the
    client. ``request_id`` identifies the job in the server's logs.
    """

    def __init__(
        self,
        resumption: Resumption,
        call: Callable[
            [Resumption], grpc.aio.UnaryStreamCall[generate_pb2.GenerateRequest, generate_pb2.GenerateResponse]
        ],
        cancel_job: Callable[[Resumption], Awaitable[None]],
        proxy_note: str,
    ) -> None:
        self.request_id = resumption.request.request_id
        self._make_call = call
        self._cancel_job = cancel_job
        self._proxy_note = proxy_note
        self._resumption = resumption
        self._decoder = OrderedDecoder(resumption.request)
        self._has_ended = False
        self._is_closed = asyncio.Event()
        self._ending: asyncio.Future[None] | None = None
        self._call = call(resumption)

    def __aiter__(self) -> AsyncIterator[Event]:
        return self

    async def __anext__(self) -> Event:
        """Waits for the next event and returns it. Raises ``StillcueError`` if the call failed."""
        if self._has_ended:
            raise StopAsyncIteration
        try:
            while (response := await self._next_response()) is not None:
                event = await self._event_of(response)
                if event is not None:
                    return event
        except StillcueError:
            self._has_ended = True
            raise
        except BaseException:  # the waiting task was cancelled
            await self.aclose()
            raise
        self._has_ended = True
        self._decoder.finish()
        raise StopAsyncIteration

    async def aclose(self) -> None:
        """Cancels the job unless it has ended. Iteration then stops."""
        is_over, self._has_ended = self._has_ended, True
        await self._cancel(is_over)

    async def cancel(self) -> None:
        """Cancels the job unless it has ended. Iteration then raises ``Cancelled``."""
        await self._cancel(self._has_ended)

    async def _cancel(self, is_over: bool) -> None:
        was_closed = self._is_closed.is_set()
        self._is_closed.set()
        self._call.cancel()
        if not is_over and not was_closed and self._resumption.outlives_its_call:
            self._ending = asyncio.ensure_future(self._cancel_job(self._resumption))
        if self._ending is not None:  # a task that is cancelled again and again, as anyio does, does not stop it
            await asyncio.shield(self._ending)

    async def _next_response(self) -> generate_pb2.GenerateResponse | None:
        """Returns the next message, resuming a broken stream; None at the end of the stream."""
        while True:
            try:
                response = await _translated(self._call.read(), self._proxy_note, self.request_id)
            except StillcueError as error:
                if self._resumption.is_complete and is_broken(error):
                    return None
                if self._is_closed.is_set() or await self._is_closed_within(self._delay_after(error)):
                    raise
            else:
                is_end = response is grpc.aio.EOF  # type: ignore[attr-defined]
                return None if is_end else cast("generate_pb2.GenerateResponse", response)
            self._call = self._make_call(self._resumption)

    async def _event_of(self, response: generate_pb2.GenerateResponse) -> Event | None:
        try:
            self._resumption.received(response)
            return self._decoder.decode(response)
        except StillcueError:  # a stream that is not what was asked for is not read to its end
            await self.aclose()
            raise

    def _delay_after(self, error: StillcueError) -> float:
        try:
            return self._resumption.delay_after(error)
        except StillcueError as told:
            if told is error:
                raise
            raise told from error.__cause__

    async def _is_closed_within(self, seconds: float) -> bool:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                return await self._is_closed.wait()
        return False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exception_info: object) -> None:
        await self.aclose()


class AsyncClient:
    """A connection to one Stillcue server, for asyncio. Arguments, methods and errors are those of ``Client``.

    Create it inside the event loop that uses it.
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
        wait_when_busy_seconds: float = 0.0,
        on_refusal: Callable[[StillcueError, float], None] | None = None,
    ) -> None:
        self._busy = BusyPolicy(wait_when_busy_seconds, on_refusal)
        credentials = channel_credentials(
            checked_target(target),
            tls=tls,
            root_certificates=root_certificates,
            certificate_chain=certificate_chain,
            private_key=private_key,
        )
        self._metadata = call_metadata(token, target, is_encrypted=credentials is not None)
        self._proxy_note = proxy_note(target)
        options = channel_options(target)
        self._channel = (
            grpc.aio.insecure_channel(target, options=options)
            if credentials is None
            else grpc.aio.secure_channel(target, credentials, options=options)
        )
        # The generated stub class works with both kinds of channel; the type stubs have two names for it.
        self._stub = cast(
            "service_pb2_grpc.StillcueServiceAsyncStub", service_pb2_grpc.StillcueServiceStub(self._channel)
        )
        self._streams: weakref.WeakSet[AsyncEventStream] = weakref.WeakSet()

    def generate(
        self,
        picture: Picture,
        prompt: str = "",
        *,
        timeout_seconds: float | None = None,
        **options: Unpack[GenerateOptions],
    ) -> AsyncEventStream:
        """Generates a clip that starts from ``picture`` and follows ``prompt``, or the sentences of ``segments``.

        A plain method, without ``await``: starts the call at once and returns the stream of its events. For the options
        see ``stillcue.GenerateOptions``.
        """
        resumption = Resumption(generate_request(picture, prompt, options), timeout_seconds, self._busy)
        stream = AsyncEventStream(resumption, self._call, self._cancel_job, self._proxy_note)
        self._streams.add(stream)
        return stream

    async def score_match(
        self,
        picture: Picture,
        prompt: str,
        *,
        timeout_seconds: float | None = None,
        **options: Unpack[ScoreOptions],
    ) -> MatchReport:
        """Scores how well picture and prompt match and suggests changes, without generating a clip.

        For the options see ``stillcue.ScoreOptions``.
        """
        request = score_match_request(picture, prompt, options)
        return decode_score(await self._answer(self._stub.ScoreMatch, request, timeout_seconds))

    async def capabilities(self, *, timeout_seconds: float | None = None) -> Capabilities:
        """Returns what the server has loaded: model, sizes, defaults, limits and memory plans."""
        request = capabilities_pb2.GetCapabilitiesRequest()
        return decode_capabilities(await self._answer(self._stub.GetCapabilities, request, timeout_seconds))

    async def aclose(self) -> None:
        """Cancels all open streams and closes the connection."""
        await asyncio.gather(*(stream.cancel() for stream in list(self._streams)))
        await self._channel.close(grace=None)

    def _call(
        self, resumption: Resumption
    ) -> grpc.aio.UnaryStreamCall[generate_pb2.GenerateRequest, generate_pb2.GenerateResponse]:
        return self._stub.Generate(
            resumption.request,
            timeout=resumption.timeout_seconds,
            metadata=(*self._metadata, *resumption.metadata),
        )

    async def _answer(
        self, method: Callable[..., Awaitable[_Response]], request: Message, timeout_seconds: float | None
    ) -> _Response:
        """Makes a unary call, again while the server is busy."""
        deadline = Countdown(timeout_seconds)
        retries = BusyRetries(self._busy)
        while True:
            try:
                call = method(request, timeout=deadline.seconds, metadata=self._metadata)
                return await _translated(call, self._proxy_note)
            except StillcueError as error:
                delay = retries.delay_after(error)
                if delay is None:
                    raise
            await asyncio.sleep(delay)

    async def _cancel_job(self, resumption: Resumption) -> None:
        """Sends CancelGenerate. If that fails, the server ends the job when its resume window is over."""
        request = generate_pb2.CancelGenerateRequest(request_id=resumption.request.request_id)
        with suppress(StillcueError):
            metadata = (*self._metadata, *resumption.metadata)
            call = self._stub.CancelGenerate(request, timeout=CANCEL_SECONDS, metadata=metadata)
            await _translated(call, self._proxy_note)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exception_info: object) -> None:
        await self.aclose()


async def _translated(waiting: Awaitable[_Response], proxy_note: str, request_id: str | None = None) -> _Response:
    """Awaits an answer and translates gRPC's errors into ``StillcueError``.

    gRPC raises ``CancelledError`` for a call that this side cancelled. Unless the task itself was cancelled, that error
    is translated into ``Cancelled``.
    """
    try:
        return await waiting
    except grpc.aio.AioRpcError as error:
        raise error_of(error, request_id, proxy_note) from error
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise
        raise closed_client(request_id) from None
