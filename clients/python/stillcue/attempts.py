"""Attempts of a job, as asked for and as made: dataclasses that mirror the contract. Imports no protobuf, no gRPC."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from stillcue.match import SuccessEstimate


class AttemptFrames(enum.StrEnum):
    """Attempts whose frames and video chunks a stream carries.

    ``ALL``: those of every attempt as they come, from index 0 each. ``ACCEPTED``: those of the delivered attempt alone,
    after the last attempt has ended.
    """

    UNKNOWN = "unknown"
    ALL = "all"
    ACCEPTED = "accepted"


class AttemptsEnd(enum.StrEnum):
    """Reason for which no further attempt was made.

    ``DEADLINE``: another one would take longer than the call may; ``QUOTA``: the caller's requests per minute are used
    up; ``DRAINING``: the server shuts down.
    """

    UNKNOWN = "unknown"
    ACCEPTED = "accepted"
    MAXIMUM_COUNT = "maximum_count"
    DEADLINE = "deadline"
    QUOTA = "quota"
    DRAINING = "draining"


@dataclass(frozen=True, slots=True)
class Attempts:
    """Attempts of a job: the server makes the clip again until one is accepted. Attempt k has the seed + k - 1.

    ``accept``: probability of success, 0 to 1, from which on a clip is accepted; None: the bundle's own.
    """

    maximum_count: int
    accept: float | None = None
    frames: AttemptFrames = AttemptFrames.ALL


@dataclass(frozen=True, slots=True)
class AttemptResult:
    """An attempt ended with a complete clip; also an event of the stream, where more than one attempt is allowed.

    ``success`` judges the finished clip. ``work_seconds``: time that the engine worked on it.
    """

    segment: ClassVar[int] = 0
    number: int
    seed: int
    accepted: bool
    success: SuccessEstimate | None
    work_seconds: float

    @property
    def attempt(self) -> int:
        """Its number, under the name that other events have."""
        return self.number
