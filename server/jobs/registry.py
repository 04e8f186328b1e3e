"""Jobs whose streams can be taken up again, by caller and request id. Lives in the event loop; knows no gRPC.

A job is listed from its acceptance until its window is over. What those that nobody reads hold after their end is
bounded in bytes: the job that ended first is dropped first.
"""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING, NamedTuple

from server.errors import JobNotFound, ReaderGone, RequestIdReused, ServerDraining

if TYPE_CHECKING:
    from server.jobs.job import Generation
    from server.observability.metrics import Metrics


class JobKey(NamedTuple):
    """A job belongs to its caller: nobody else finds it."""

    caller_name: str
    request_id: str


class Replays:
    """``max_bytes`` is what jobs that are over and that nobody reads may hold together."""

    def __init__(self, max_bytes: int, metrics: Metrics) -> None:
        self._max_bytes = max_bytes
        self._metrics = metrics
        self._jobs: dict[JobKey, Generation] = {}
        self._kept: dict[JobKey, Generation] = {}  # over, and nobody reads them; the first one ended first
        self.is_closed = False

    def find(self, key: JobKey) -> Generation:
        """Raises ``JobNotFound``."""
        job = self._jobs.get(key)
        if job is None:
            raise JobNotFound
        return job

    def find_same(self, key: JobKey, request_digest: bytes) -> Generation | None:
        """The job that the same request has begun. Raises ``RequestIdReused`` where another request has its id."""
        job = self._jobs.get(key)
        if job is not None and not hmac.compare_digest(job.request_digest, request_digest):
            raise RequestIdReused
        return job

    def has(self, key: JobKey) -> bool:
        """Whether a job is listed."""
        return key in self._jobs

    def add(self, key: JobKey, job: Generation) -> None:
        """Lists a job."""
        self._jobs[key] = job

    def forget(self, key: JobKey) -> None:
        """Takes a job off the list. Harmless when it is not on it."""
        self._jobs.pop(key, None)
        self._kept.pop(key, None)
        self._report()

    def keep(self, key: JobKey) -> None:
        """A job is over and nobody reads it; older ones go where they all hold too much together."""
        self._kept[key] = self._jobs[key]
        while self._kept_bytes() > self._max_bytes:
            oldest = next(iter(self._kept))
            self._kept.pop(oldest).give_up(ReaderGone())
        self._report()

    def resume(self, key: JobKey) -> None:
        """A job is read again."""
        self._kept.pop(key, None)
        self._report()

    def close(self) -> None:
        """Ends jobs that nobody reads; from now on none is kept."""
        self.is_closed = True
        for job in list(self._jobs.values()):
            if job.is_idle:
                job.give_up(ServerDraining())

    def _kept_bytes(self) -> int:
        return sum(job.held_bytes for job in self._kept.values())

    def _report(self) -> None:
        self._metrics.replay_bytes.set(self._kept_bytes())
