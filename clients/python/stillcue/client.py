"""The synchronous client. Knows channels and calls; requests, answers and errors are translated elsewhere.

One client may be used by many threads; one stream is read by one thread and may be closed by any.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import grpc

from stillcue.channel import CHANNEL_OPTIONS, call_metadata, channel_credentials
from stillcue.ordering import OrderedDecoder
from stillcue.reports import decode_score
from stillcue.request import generate_request, score_match_request
from stillcue.response import decode_capabilities
from stillcue.status import error_of
from stillcue.v1 import capabilities_pb2, service_pb2_grpc

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Self, Unpack

    from stillcue.capabilities import Capabilities
    from stillcue.events import Event, MatchReport
    from stillcue.request import GenerateOptions, Picture, ScoreOptions
    from stillcue.v1 import generate_pb2


class EventStream:
    """The events of one Generate call, in order: an iterator that is also a context manager.

    Closing it before its end cancels the call on the server, and so does leaving its ``with`` block, an
    interrupt while it waits, or closing its client. ``request_id`` is the job's name in the server's logs.
    """

    def __init__(self, call: grpc.CallIterator[generate_pb2.GenerateResponse], request_id: str) -> None:
        self.request_id = request_id
        self._call = call
        self._responses = iter(call)
        self._decoder = OrderedDecoder(request_id)
        self._has_ended = False

    def __iter__(self) -> Iterator[Event]:
        return self

    def __next__(self) -> Event:
        """Waits for the next event. Raises ``StillcueError`` where the call failed."""
        if self._has_ended:
            raise StopIteration
        try:
            for response in self._responses:
                event = self._decoder.decode(response)
                if event is not None:
                    return event
        except grpc.RpcError as error:
            self._has_ended = True
            raise error_of(error, self.request_id) from error
        except BaseException:  # an interrupt, or a stream out of order: nobody reads this call to its end
            self.close()
            raise
        self._has_ended = True
        self._decoder.finish()
        raise StopIteration

    def close(self) -> None:
        """Cancels the call unless it is over. Iterating ends."""
        self._has_ended = True
        self._call.cancel()  # type: ignore[no-untyped-call]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception_info: object) -> None:
        self.close()


class Client:
    """A connection to one Stillcue server, synchronous.

    ``target`` is ``host:port`` or any gRPC target. ``tls`` None means plaintext to this machine and TLS to any
    other; ``root_certificates`` (PEM) replaces the system's. ``certificate_chain`` and ``private_key`` (PEM) are shown
    to servers that want to know who calls. ``token`` goes with every call as a bearer token, but never in plain text
    to another machine: that and other contradictions raise ``ValueError``.
    Connects with the first call. Use it as a context manager or close it: that cancels calls that still run.

    Every method raises a ``stillcue.StillcueError`` where its call fails, and ``OSError`` where a picture's path
    cannot be read. ``timeout_seconds`` None waits as long as the server works.
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
            grpc.insecure_channel(target, options=CHANNEL_OPTIONS)
            if credentials is None
            else grpc.secure_channel(target, credentials, options=CHANNEL_OPTIONS)
        )
        self._stub = service_pb2_grpc.StillcueServiceStub(self._channel)

    def generate(
        self,
        picture: Picture,
        prompt: str,
        *,
        timeout_seconds: float | None = None,
        **options: Unpack[GenerateOptions],
    ) -> EventStream:
        """Generates a clip that starts from ``picture`` and follows ``prompt``.

        The call starts at once; its events are read from the stream that this returns. For the options see
        ``stillcue.GenerateOptions``.
        """
        request = generate_request(picture, prompt, options)
        call = self._stub.Generate(request, timeout=timeout_seconds, metadata=self._metadata)
        return EventStream(call, request.request_id)

    def score_match(
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
        try:
            response = self._stub.ScoreMatch(request, timeout=timeout_seconds, metadata=self._metadata)
        except grpc.RpcError as error:
            raise error_of(error) from error
        return decode_score(response)

    def capabilities(self, *, timeout_seconds: float | None = None) -> Capabilities:
        """Tells what the server has loaded: model, sizes, defaults and limits."""
        request = capabilities_pb2.GetCapabilitiesRequest()
        try:
            response = self._stub.GetCapabilities(request, timeout=timeout_seconds, metadata=self._metadata)
        except grpc.RpcError as error:
            raise error_of(error) from error
        return decode_capabilities(response)

    def close(self) -> None:
        """Closes the connection and cancels calls that still run."""
        self._channel.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception_info: object) -> None:
        self.close()
