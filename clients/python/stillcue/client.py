"""The synchronous client: ``Client`` and the stream of events that ``generate`` returns.

A client may be used by many threads. A stream is read by one thread and may be closed by any.
"""

from __future__ import annotations

import threading
import time
import weakref
from contextlib import suppress
from typing import TYPE_CHECKING

import grpc

from stillcue.busy import BusyPolicy, BusyRetries, is_broken
from stillcue.channel import call_metadata, channel_credentials, channel_options, checked_target, proxy_note
from stillcue.errors import StillcueError
from stillcue.ordering import OrderedDecoder
from stillcue.reports import decode_score
from stillcue.request import generate_request, score_match_request
from stillcue.response import decode_capabilities
from stillcue.resumption import CANCEL_SECONDS, Countdown, Resumption
from stillcue.status import error_of
from stillcue.v1 import capabilities_pb2, generate_pb2, service_pb2_grpc

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Self, TypeVar, Unpack

    from google.protobuf.message import Message

    from stillcue.capabilities import Capabilities
    from stillcue.events import Event, MatchReport
    from stillcue.request import GenerateOptions, Picture, ScoreOptions

    _Response = TypeVar("_Response")


class EventStream:
    """The events of one clip, in order: an iterator that is also a context manager.

    After a broken connection the stream is resumed with the next event; see ``resume_window_seconds`` of
    ``GenerateOptions``. The job on the server is cancelled by closing the stream before its end, leaving its ``with``
    block, an interrupt while waiting for an event, or closing the client. ``request_id`` identifies the job in the
    server's logs.
    """

    def __init__(
        self,
        resumption: Resumption,
        call: Callable[[Resumption], grpc.CallIterator[generate_pb2.GenerateResponse]],
        cancel_job: Callable[[Resumption], None],
        proxy_note: str,
    ) -> None:
        self.request_id = resumption.request.request_id
        self._make_call = call
        self._cancel_job = cancel_job
        self._proxy_note = proxy_note
        self._resumption = resumption
        self._decoder = OrderedDecoder(resumption.request)
        self._has_ended = False
        self._is_closed = threading.Event()
        self._call = call(resumption)

    def __iter__(self) -> Iterator[Event]:
        return self

    def __next__(self) -> Event:
        """Waits for the next event and returns it. Raises ``StillcueError`` if the call failed."""
        if self._has_ended:
            raise StopIteration
        try:
            while (response := self._next_response()) is not None:
                event = self._event_of(response)
                if event is not None:
                    return event
        except StillcueError:
            self._has_ended = True
            raise
        except BaseException:  # such as KeyboardInterrupt
            self.close()
            raise
        self._has_ended = True
        self._decoder.finish()
        raise StopIteration

    def close(self) -> None:
        """Cancels the job unless it has ended. Iteration then stops."""
        is_over, self._has_ended = self._has_ended, True
        self._cancel(is_over)

    def cancel(self) -> None:
        """Cancels the job unless it has ended. Iteration then raises ``Cancelled``."""
        self._cancel(self._has_ended)

    def _cancel(self, is_over: bool) -> None:
        was_closed = self._is_closed.is_set()
        self._is_closed.set()
        self._call.cancel()  # type: ignore[no-untyped-call]
        if not is_over and not was_closed and self._resumption.outlives_its_call:
            self._cancel_job(self._resumption)

    def _next_response(self) -> generate_pb2.GenerateResponse | None:
        """Returns the next message, resuming a broken stream; None at the end of the stream."""
        while True:
            try:
                return next(iter(self._call), None)
            except grpc.RpcError as failure:
                error = error_of(failure, self.request_id, self._proxy_note)
                if self._is_closed.is_set():
                    raise error from failure
                if self._resumption.is_complete and is_broken(error):
                    return None
                if self._is_closed.wait(self._delay_after(error, failure)):
                    raise error from failure
            self._call = self._make_call(self._resumption)

    def _event_of(self, response: generate_pb2.GenerateResponse) -> Event | None:
        try:
            self._resumption.received(response)
            return self._decoder.decode(response)
        except StillcueError:  # a stream that is not what was asked for is not read to its end
            self.close()
            raise

    def _delay_after(self, error: StillcueError, failure: grpc.RpcError) -> float:
        try:
            return self._resumption.delay_after(error)
        except StillcueError as told:
            raise told from failure

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception_info: object) -> None:
        self.close()


class Client:
    """A connection to one Stillcue server, synchronous.

    ``target`` is ``host:port`` or any gRPC target. ``tls`` None means plaintext to this machine and TLS to any
    other; ``root_certificates`` (PEM) replaces the system's. ``certificate_chain`` and ``private_key`` (PEM) are the
    client's certificate for servers that ask for one. ``token`` is sent with every call as a bearer token, but never in
    plain text to another machine: such contradictions raise ``ValueError``.
    A target that is no address raises ``ValueError`` too. A proxy of the environment applies to other machines only.
    Connects with the first call. Use it as a context manager or call ``close``, which cancels open streams.

    Every method raises a ``stillcue.StillcueError`` if its call fails, and ``OSError`` if a picture's path cannot be
    read. ``timeout_seconds`` is the deadline of the call; None: no deadline. A call that a busy, starting or draining
    server refuses is sent again after the advised time, for ``wait_when_busy_seconds`` in all; ``on_refusal`` gets each
    refusal and the seconds until the next call, in the thread that waits.
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
            grpc.insecure_channel(target, options=options)
            if credentials is None
            else grpc.secure_channel(target, credentials, options=options)
        )
        self._stub = service_pb2_grpc.StillcueServiceStub(self._channel)
        self._streams: weakref.WeakSet[EventStream] = weakref.WeakSet()
        self._lock = threading.Lock()

    def generate(
        self,
        picture: Picture,
        prompt: str = "",
        *,
        timeout_seconds: float | None = None,
        **options: Unpack[GenerateOptions],
    ) -> EventStream:
        """Generates a clip that starts from ``picture`` and follows ``prompt``, or the sentences of ``segments``.

        Starts the call at once and returns the stream of its events. For the options see ``stillcue.GenerateOptions``.
        """
        resumption = Resumption(generate_request(picture, prompt, options), timeout_seconds, self._busy)
        stream = EventStream(resumption, self._call, self._cancel_job, self._proxy_note)
        with self._lock:
            self._streams.add(stream)
        return stream

    def score_match(
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
        return decode_score(self._answer(self._stub.ScoreMatch, request, timeout_seconds))

    def capabilities(self, *, timeout_seconds: float | None = None) -> Capabilities:
        """Returns what the server has loaded: model, sizes, defaults, limits and memory plans."""
        request = capabilities_pb2.GetCapabilitiesRequest()
        return decode_capabilities(self._answer(self._stub.GetCapabilities, request, timeout_seconds))

    def close(self) -> None:
        """Cancels all open streams and closes the connection."""
        with self._lock:
            streams = list(self._streams)
        for stream in streams:
            stream.cancel()
        self._channel.close()

    def _call(self, resumption: Resumption) -> grpc.CallIterator[generate_pb2.GenerateResponse]:
        return self._stub.Generate(
            resumption.request,
            timeout=resumption.timeout_seconds,
            metadata=(*self._metadata, *resumption.metadata),
        )

    def _answer(self, method: Callable[..., _Response], request: Message, timeout_seconds: float | None) -> _Response:
        """Makes a unary call, again while the server is busy."""
        deadline = Countdown(timeout_seconds)
        retries = BusyRetries(self._busy)
        while True:
            try:
                return method(request, timeout=deadline.seconds, metadata=self._metadata)
            except grpc.RpcError as failure:
                error = error_of(failure, proxy_note=self._proxy_note)
                delay = retries.delay_after(error)
                if delay is None:
                    raise error from failure
            time.sleep(delay)

    def _cancel_job(self, resumption: Resumption) -> None:
        """Sends CancelGenerate. If that fails, the server ends the job when its resume window is over."""
        request = generate_pb2.CancelGenerateRequest(request_id=resumption.request.request_id)
        with suppress(grpc.RpcError):
            metadata = (*self._metadata, *resumption.metadata)
            self._stub.CancelGenerate(request, timeout=CANCEL_SECONDS, metadata=metadata)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception_info: object) -> None:
        self.close()
