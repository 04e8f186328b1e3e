"""The errors of all calls, as one tree.

::

    StillcueError
    ├── InvalidRequest       a field of the request is wrong: correct the fields in ``violations``, send again
    ├── FailedPrecondition   the request is valid, but not for what this server has loaded
    │   └── MatchRefused     picture and prompt match less than the request demands
    ├── AccessDenied         the token is missing, expired or lacks the right
    ├── Overloaded           no room in the queue: wait ``retry_after_seconds``, send again
    ├── OutOfMemory          the server's device cannot hold the job: ask for a smaller size or fewer frames
    ├── DeadlineExceeded     the deadline of the call has passed, or is too short for the job
    ├── ReaderTooSlow        frames came faster than they were read: read faster, or use a smaller encoding
    ├── Cancelled            the call was cancelled on either side
    ├── Unavailable          no server answers, or the connection broke; the clip is lost, try again
    │   └── ResumeFailed     the stream broke and could not be resumed
    ├── Unsupported          the server does not know this method, or ignores what the request asks for
    └── ServerError          the server failed, not the caller: report it with its ``request_id``

Imports no gRPC; ``stillcue.status`` creates these from gRPC errors.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from stillcue.match import MatchReport


@dataclass(frozen=True, slots=True)
class Violation:
    """One wrong field: its path in the request, for example ``video.frame_count``, and how to correct it."""

    field: str
    description: str


@dataclass(frozen=True, slots=True)
class ErrorDetails:
    """Details of an error; defaults where a server or proxy sent none.

    ``status`` is the name of the gRPC status, ``reason`` the server's more exact name, ``metadata`` figures that belong
    to the reason. ``retry_after_seconds`` None: the server did not ask to retry. ``match_report`` is the report of a
    refused match; a long one lacks its last findings.
    """

    status: str
    reason: str | None = None
    request_id: str | None = None
    violations: tuple[Violation, ...] = ()
    retry_after_seconds: float | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    match_report: MatchReport | None = None


class StillcueError(Exception):
    """Base of every error that a call raises. ``str()`` is the server's message."""

    def __init__(self, message: str, details: ErrorDetails) -> None:
        super().__init__(message, details)
        self.message = message
        self.details = details

    def __str__(self) -> str:
        return self.message

    @property
    def status(self) -> str:
        """Name of the gRPC status, for example ``"INVALID_ARGUMENT"``."""
        return self.details.status

    @property
    def reason(self) -> str | None:
        """The server's name of the error in UPPER_SNAKE_CASE; None if it sent none."""
        return self.details.reason

    @property
    def request_id(self) -> str | None:
        """The id of the call in the server's logs; None if unknown."""
        return self.details.request_id

    @property
    def violations(self) -> tuple[Violation, ...]:
        """All wrong fields of the request."""
        return self.details.violations

    @property
    def retry_after_seconds(self) -> float | None:
        """Seconds to wait before trying again; None if the server named no time."""
        return self.details.retry_after_seconds


class InvalidRequest(StillcueError):
    """A field of the request is wrong; ``violations`` name every one."""


class FailedPrecondition(StillcueError):
    """The request is valid, but not for what this server has loaded: a size that was not compiled, no scorer."""


class MatchRefused(FailedPrecondition):
    """Picture and prompt match less than ``minimum_match_score``; ``report`` says why and what to change."""

    @property
    def report(self) -> MatchReport | None:
        """The match report; None if the server sent none."""
        return self.details.match_report


class AccessDenied(StillcueError):
    """The server refuses the caller: the token is missing, invalid or lacks the right."""


class Overloaded(StillcueError):
    """The server has no room for the call now; try again after ``retry_after_seconds``, if given."""


class OutOfMemory(StillcueError):
    """The server's device cannot hold the job; a smaller size or fewer frames may fit."""


class DeadlineExceeded(StillcueError):
    """``timeout_seconds`` has passed, or is shorter than the server's estimate of the job."""


class ReaderTooSlow(StillcueError):
    """The server ended the stream because too many events waited to be read, or one waited too long."""


class Cancelled(StillcueError):
    """The call was cancelled: by closing the client, or by the server."""


class Unavailable(StillcueError):
    """No server answers, or the connection broke, possibly in mid-stream."""


class ResumeFailed(Unavailable):
    """The stream broke and could not be resumed: too late, or the server no longer holds the next event."""


class Unsupported(StillcueError):
    """The server is older than this client, or is no Stillcue server.

    It does not know this method, or ignores ``segments`` or ``seconds`` and would make another clip.
    """


class ServerError(StillcueError):
    """The server failed, or violated the contract."""
