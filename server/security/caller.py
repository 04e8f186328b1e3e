"""A caller and its limits."""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CallerLimits:
    """The limits of one caller; 0: no limit.

    ``max_streams``: calls at the same time. ``max_jobs``: Generate calls that wait or run.
    ``max_requests_per_minute``: calls that begin, on average; as many may come at once.
    """

    max_streams: int = 0
    max_jobs: int = 0
    max_requests_per_minute: int = 0


@dataclass(frozen=True, slots=True)
class Caller:
    """One caller; its limits count over all its tokens, certificates and connections."""

    name: str
    limits: CallerLimits = CallerLimits()


UNNAMED = Caller("")
current_caller: ContextVar[Caller] = ContextVar("current_caller", default=UNNAMED)
