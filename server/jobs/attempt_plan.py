"""Plan of the attempts of a job: their largest number, the accepted judged success, and the frames that are sent."""

from __future__ import annotations

import enum
from dataclasses import dataclass

MAX_ATTEMPT_COUNT = 8


class AttemptFrames(enum.Enum):
    """Attempts whose frames and video chunks the stream carries: every one, or the delivered one after its end."""

    ALL = "all"
    ACCEPTED = "accepted"


@dataclass(frozen=True, slots=True)
class AttemptWish:
    """Attempts as a request asks for them. ``accept`` None: the bundle's threshold."""

    maximum_count: int
    accept: float | None
    frames: AttemptFrames


@dataclass(frozen=True, slots=True)
class AttemptPlan:
    """Attempts of a job, 2 to ``MAX_ATTEMPT_COUNT``; ``accept`` is a probability, 0..1."""

    maximum_count: int
    accept: float
    frames: AttemptFrames
