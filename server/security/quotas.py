"""The quotas of callers: streams, jobs and requests per minute. Used in the event loop only.

A token bucket counts requests per minute: the bucket holds the requests of a minute and refills evenly.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from server.errors.refusals import QuotaExceeded

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from server.security.caller import Caller

_RETRY_SECONDS = 5.0  # as for a full queue: there is no estimate of when a caller's calls end
_SWEEP_COUNT = 1_024


@dataclass(slots=True)
class _Usage:
    allowance: float
    counted_at: float
    stream_count: int = 0
    job_count: int = 0


class Quotas:
    """Counts the usage of every caller. ``clock`` returns seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._usages: dict[str, _Usage] = {}

    @contextmanager
    def stream(self, caller: Caller, *, may_exceed: bool = False) -> Iterator[None]:
        """Wraps one call. Raises ``QuotaExceeded``; a refused call is not counted.

        ``may_exceed``: the call may exceed the number of streams, since it ends another stream.
        """
        limits = caller.limits
        usage = self._usage(caller)
        if not may_exceed and limits.max_streams and usage.stream_count >= limits.max_streams:
            raise QuotaExceeded(caller.name, "max_streams", limits.max_streams, _RETRY_SECONDS)
        self._take_request(caller, usage)
        usage.stream_count += 1
        try:
            yield
        finally:
            usage.stream_count -= 1

    def take_request(self, caller: Caller) -> bool:
        """Counts one more request that comes without a call; False, and nothing is counted, if none is left."""
        try:
            self._take_request(caller, self._usage(caller))
        except QuotaExceeded:
            return False
        return True

    @contextmanager
    def job(self, caller: Caller) -> Iterator[None]:
        """Wraps one job, from before its place in the queue to its end. Raises ``QuotaExceeded``."""
        limit = caller.limits.max_jobs
        usage = self._usage(caller)
        if limit and usage.job_count >= limit:
            raise QuotaExceeded(caller.name, "max_jobs", limit, _RETRY_SECONDS)
        usage.job_count += 1
        try:
            yield
        finally:
            usage.job_count -= 1

    def _take_request(self, caller: Caller, usage: _Usage) -> None:
        limit = caller.limits.max_requests_per_minute
        if not limit:
            return
        now = self._clock()
        usage.allowance = min(float(limit), usage.allowance + (now - usage.counted_at) * limit / 60)
        usage.counted_at = now
        if usage.allowance < 1.0:
            wait_seconds = (1.0 - usage.allowance) * 60 / limit
            raise QuotaExceeded(caller.name, "max_requests_per_minute", limit, wait_seconds)
        usage.allowance -= 1.0

    def _usage(self, caller: Caller) -> _Usage:
        usage = self._usages.get(caller.name)
        if usage is None:
            if len(self._usages) >= _SWEEP_COUNT:
                self._forget_idle()
            usage = _Usage(float(caller.limits.max_requests_per_minute), self._clock())
            self._usages[caller.name] = usage
        return usage

    def _forget_idle(self) -> None:
        """Drops the usage of callers without calls in the last minute: their allowance is full again."""
        past = self._clock() - 60
        for name, usage in list(self._usages.items()):
            if not usage.stream_count and not usage.job_count and usage.counted_at <= past:
                del self._usages[name]
