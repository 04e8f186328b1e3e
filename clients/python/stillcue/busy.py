"""Repeats calls that a busy, starting or draining server refused, or a proxy in front of busy servers.

A refused call has done nothing, so the same call may be sent again. Makes no calls itself.
"""

from __future__ import annotations

import random
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from stillcue.errors import StillcueError

FIRST_DELAY_SECONDS = 0.1
LONGEST_DELAY_SECONDS = 2.0
# Reasons of a server, or of the proxy of a fleet, that has no room now.
BUSY_REASONS = frozenset({"QUEUE_FULL", "SERVER_STARTING", "SERVER_DRAINING", "ENGINE_RESTARTING", "NO_REPLICA_FREE"})
_BROKEN = frozenset({"UNAVAILABLE", "UNKNOWN", "INTERNAL"})


@dataclass(frozen=True, slots=True)
class BusyPolicy:
    """``wait_seconds``: how long refused calls are repeated; 0: a refusal is raised at once.

    ``on_refusal`` is called with each refusal and the seconds until the next call.
    """

    wait_seconds: float = 0.0
    on_refusal: Callable[[StillcueError, float], None] | None = None

    def __post_init__(self) -> None:
        if not 0.0 <= self.wait_seconds < float("inf"):
            raise ValueError(f"wait_when_busy_seconds is {self.wait_seconds}; give seconds of 0 or more")


class BusyRetries:
    """The repetitions of one call. ``clock`` returns seconds, ``draw`` a random number from 0 to 1."""

    def __init__(
        self,
        policy: BusyPolicy,
        *,
        clock: Callable[[], float] = time.monotonic,
        draw: Callable[[], float] = random.random,
    ) -> None:
        self._policy = policy
        self._clock = clock
        self._draw = draw
        self._refused_at: float | None = None
        self._count = 0

    def delay_after(self, error: StillcueError) -> float | None:
        """Returns the seconds to wait before the same call is sent again; None: the error is the caller's."""
        if not self._policy.wait_seconds or not is_refusal(error):
            return None
        now = self._clock()
        if self._refused_at is None:
            self._refused_at = now
        delay = max(backoff_seconds(self._count, self._draw), error.retry_after_seconds or 0.0)
        if now + delay > self._refused_at + self._policy.wait_seconds:
            return None
        self._count += 1
        if self._policy.on_refusal is not None:
            self._policy.on_refusal(error, delay)
        return delay

    def reset(self) -> None:
        """The call was admitted."""
        self._refused_at, self._count = None, 0


def is_busy(error: StillcueError) -> bool:
    """Returns True for an error of a server or proxy that has no room now."""
    return error.reason in BUSY_REASONS


def is_broken(error: StillcueError) -> bool:
    """Returns True for an error without a reason, as gRPC and proxies give it where the connection broke."""
    return error.reason is None and error.status in _BROKEN


def is_refusal(error: StillcueError) -> bool:
    """Returns True if the same call may succeed later: the server is busy, or cannot be reached."""
    return is_busy(error) or (error.reason is None and error.status == "UNAVAILABLE")


def backoff_seconds(attempt: int, draw: Callable[[], float]) -> float:
    """Seconds before attempt ``attempt`` (from 0): they double up to a limit, and are random."""
    return min(FIRST_DELAY_SECONDS * 2.0**attempt, LONGEST_DELAY_SECONDS) * (0.5 + draw() / 2)
