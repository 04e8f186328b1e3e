"""Everything that a call can end with, as one tree.

::

    StillcueError
    ├── InvalidRequest       a field of the request is wrong: see ``violations``, mend it, send it again
    ├── FailedPrecondition   the request is well formed, but this server cannot serve it as it is loaded
    │   └── MatchRefused     picture and sentence match less than the request demands
    ├── AccessDenied         the token is missing, expired or not good enough
    ├── Overloaded           no room in the queue: wait ``retry_after_seconds``, send it again
    ├── OutOfMemory          the server's device cannot hold the job: ask for a smaller size or fewer frames
    ├── DeadlineExceeded     the time given to the call is over, or would not suffice
    ├── ReaderTooSlow        the stream was not read as fast as frames came: read it faster, or smaller encodings
    ├── Cancelled            the call was cancelled on either side
    ├── Unavailable          no server, or it went away, perhaps in mid-stream; the clip is lost, try again
    │   └── ResumeFailed     the stream broke, and could not be taken up again
    ├── Unsupported          the server does not know this method
    └── ServerError          the server failed: not the caller's fault; report it with its ``request_id``

Knows no gRPC: ``stillcue.status`` makes these from what the wire says.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from stillcue.match import MatchReport


@dataclass(frozen=True, slots=True)
class Violation:
    """One wrong field: its path in the request, for example ``video.frame_count``, and what to do about it."""

    field: str
    description: str


@dataclass(frozen=True, slots=True)
class ErrorDetails:
    """What came with an error. A server or proxy that sends no details leaves the defaults.

    ``status`` is the name of the gRPC status, ``reason`` the server's own more exact name, ``metadata`` figures
    that go with the reason. ``retry_after_seconds`` None: nobody said that trying again helps, nor when.
    ``match_report`` is what a refused match was like; of a long one the last findings are left out.
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
        """The server's own name of the error in UPPER_SNAKE_CASE, where it gave one."""
        return self.details.reason

    @property
    def request_id(self) -> str | None:
        """The id by which the server's logs know the call, where there is one."""
        return self.details.request_id

    @property
    def violations(self) -> tuple[Violation, ...]:
        """The wrong fields, all at once."""
        return self.details.violations

    @property
    def retry_after_seconds(self) -> float | None:
        """How long to wait before trying again, where the server said so."""
        return self.details.retry_after_seconds


class InvalidRequest(StillcueError):
    """A field of the request is wrong; ``violations`` name every one."""


class FailedPrecondition(StillcueError):
    """The request is well formed, but not for this server: a size that was not compiled, no scorer."""


class MatchRefused(FailedPrecondition):
    """Picture and sentence match less than ``minimum_match_score``; ``report`` says why and what to change."""

    @property
    def report(self) -> MatchReport | None:
        """The match report, where the server sent it along."""
        return self.details.match_report


class AccessDenied(StillcueError):
    """The server wants a token, or a better one."""


class Overloaded(StillcueError):
    """The server has no room for the call now; try again after ``retry_after_seconds`` where that is given."""


class OutOfMemory(StillcueError):
    """The server's device cannot hold the job; a smaller size or fewer frames may fit."""


class DeadlineExceeded(StillcueError):
    """``timeout_seconds`` is over, or the server knows that it would not suffice."""


class ReaderTooSlow(StillcueError):
    """The server ended the stream because its events waited too long to be read, or too many of them did."""


class Cancelled(StillcueError):
    """The call was cancelled: by closing the client, or by the server."""


class Unavailable(StillcueError):
    """No server answers, or the connection broke, perhaps in mid-stream."""


class ResumeFailed(Unavailable):
    """The stream broke and could not be taken up again: too late, or the server does not hold what comes next."""


class Unsupported(StillcueError):
    """The server does not know this method: it is older than this client, or no Stillcue server."""


class ServerError(StillcueError):
    """The server failed, or did not keep to the contract."""
