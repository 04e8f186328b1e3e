"""Checks the order of a stream's events: ``Accepted`` first, ``Summary`` last. Shared by both clients."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stillcue.errors import ErrorDetails, ServerError
from stillcue.events import Accepted, Summary
from stillcue.response import decode_event

if TYPE_CHECKING:
    from stillcue.events import Event
    from stillcue.v1 import generate_pb2


class OrderedDecoder:
    """Decodes the messages of one stream and checks their order. ``request_id`` is the job's id, for errors."""

    def __init__(self, request_id: str) -> None:
        self._request_id = request_id
        self._last: Event | None = None

    def decode(self, response: generate_pb2.GenerateResponse) -> Event | None:
        """Returns the event of a message; None for an event that this client does not know.

        Raises ``ServerError`` if the first event is not ``Accepted``.
        """
        event = decode_event(response)
        if event is None:
            return None
        if self._last is None and not isinstance(event, Accepted):
            raise self._error(f"the stream opened with {type(event).__name__}, not with Accepted")
        self._last = event
        return event

    def finish(self) -> None:
        """Call it when the stream has ended without error. Raises ``ServerError`` if the summary is missing."""
        if not isinstance(self._last, Summary):
            raise self._error("the stream ended before its summary; the clip is not complete")

    def _error(self, message: str) -> ServerError:
        return ServerError(message, ErrorDetails(status="DATA_LOSS", request_id=self._request_id))
