"""The jobs whose streams may be resumed, by caller and request id. Runs in the event loop.

A job is listed from its acceptance until its end. The bytes of jobs that are over and have no reader are limited: the
job that came to this first is ended first.
"""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING

from server.errors.refusals import JobNotFound, ReaderGone, RequestIdReused, ServerDraining
from server.jobs.listener import JobListener

if TYPE_CHECKING:
    from collections.abc import Callable

    from server.jobs.job import GenerateJob
    from server.jobs.spec import JobKey


class JobRegistry:
    """``max_bytes`` limits what finished jobs without a reader hold together; ``on_kept_bytes`` receives that sum."""

    def __init__(self, max_bytes: int, on_kept_bytes: Callable[[int], None]) -> None:
        self._max_bytes = max_bytes
        self._on_kept_bytes = on_kept_bytes
        self._jobs: dict[JobKey, GenerateJob] = {}
        self._kept: dict[JobKey, GenerateJob] = {}  # finished and unread; in the order in which that came about

    def find(self, key: JobKey) -> GenerateJob:
        """Raises ``JobNotFound``."""
        job = self._jobs.get(key)
        if job is None:
            raise JobNotFound
        return job

    def find_same(self, key: JobKey, request_digest: bytes) -> GenerateJob | None:
        """The job of an equal request. Raises ``RequestIdReused`` where another request has the request id."""
        job = self._jobs.get(key)
        if job is not None and not hmac.compare_digest(job.spec.request_digest, request_digest):
            raise RequestIdReused
        return job

    def add(self, job: GenerateJob) -> None:
        """Lists a job. ``listener`` follows it from then on."""
        self._jobs[job.spec.key] = job

    def listener(self, key: JobKey) -> JobListener:
        """The listener that keeps, and takes off the list, the job with this key."""
        return _RegistryListener(self, key)

    def keep(self, key: JobKey) -> None:
        """The job is finished and unread. Ends the jobs kept longest while all of them exceed the limit."""
        self._kept[key] = self._jobs[key]
        while self._kept_bytes() > self._max_bytes:
            oldest = next(iter(self._kept))
            self._kept.pop(oldest).give_up(ReaderGone())
        self._report()

    def release(self, key: JobKey) -> None:
        """The job has a reader again, or is about to end."""
        self._kept.pop(key, None)
        self._report()

    def forget(self, key: JobKey) -> None:
        """Takes a job off the list. Does nothing for an unknown key."""
        self._jobs.pop(key, None)
        self.release(key)

    def close(self) -> None:
        """Ends the jobs without a reader; a job with readers will end with its last one."""
        for job in list(self._jobs.values()):
            job.close(ServerDraining())

    def _kept_bytes(self) -> int:
        return sum(job.held_bytes for job in self._kept.values())

    def _report(self) -> None:
        self._on_kept_bytes(self._kept_bytes())


class _RegistryListener(JobListener):
    def __init__(self, registry: JobRegistry, key: JobKey) -> None:
        self._registry = registry
        self._key = key

    def detached(self, *, is_over: bool) -> None:
        if is_over:
            self._registry.keep(self._key)

    def attached(self) -> None:
        self._registry.release(self._key)

    def ended(self) -> None:
        self._registry.forget(self._key)
