"""Checks the events of a stream. Shared by both clients.

``Accepted`` comes first, with the length that was asked for, ``Summary`` last.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from stillcue.errors import ErrorDetails, ServerError, Unsupported
from stillcue.events import Accepted, Summary
from stillcue.response import decode_event

if TYPE_CHECKING:
    from stillcue.events import Event, Settings
    from stillcue.v1 import generate_pb2

# A length in seconds stands for the nearest number of frames 4n + 1, at most 2 away; the rest is for rounding.
_FARTHEST_FRAME_COUNT = 2.001


class OrderedDecoder:
    """Decodes the messages of one stream and checks their order. ``request`` is that of the first call."""

    def __init__(self, request: generate_pb2.GenerateRequest) -> None:
        self._request = request
        self._last: Event | None = None

    def decode(self, response: generate_pb2.GenerateResponse) -> Event | None:
        """Returns the event of a message; None for an event that this client does not know.

        Raises ``ServerError`` if the first event is not ``Accepted``, and ``Unsupported`` if its settings show that the
        server ignored the segments or the seconds of the request, because it is older than this client.
        """
        event = decode_event(response)
        if event is None:
            return None
        if self._last is None and not isinstance(event, Accepted):
            raise self._error(f"the stream opened with {type(event).__name__}, not with Accepted")
        if isinstance(event, Accepted) and (ignored := _ignored_field(self._request, event.settings)):
            message = f"the server ignores {ignored}: it is older than this client; leave it out, or update the server"
            raise Unsupported(message, ErrorDetails(status="UNIMPLEMENTED", request_id=self._request.request_id))
        self._last = event
        return event

    def finish(self) -> None:
        """Call it when the stream has ended without error. Raises ``ServerError`` if the summary is missing."""
        if not isinstance(self._last, Summary):
            raise self._error("the stream ended before its summary; the clip is not complete")

    def _error(self, message: str) -> ServerError:
        return ServerError(message, ErrorDetails(status="DATA_LOSS", request_id=self._request.request_id))


def _ignored_field(request: generate_pb2.GenerateRequest, settings: Settings) -> str:
    """Returns the field about the clip's length that the settings contradict; empty if there is none."""
    if len(request.segments) > 1 and len(settings.segments) != len(request.segments):
        return "segments"
    if request.video.HasField("seconds"):
        asked = request.video.seconds * settings.frame_rate
        if not abs(settings.frame_count - asked) <= _FARTHEST_FRAME_COUNT:
            return "seconds"
    return ""
