"""The places of jobs on replicas: which replica has a job, and which jobs wait. Knows nothing of Ray.

Jobs get places in the order in which they came. A free place is handed over at once, without polling.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

# A job that has got its place is sent at once. A place that no job was sent for within this time was given to a call
# that ended meanwhile.
_UNUSED_SECONDS = 30.0


class NoPlace(Exception):
    """Every place is taken, and ``waiting_limit`` jobs wait."""


@dataclass(slots=True)
class _Held:
    replica_id: str
    given_at: float
    is_sent: bool = False


class Places:
    """``jobs_per_replica`` jobs have a place on each replica; ``waiting_limit`` further ones wait for one.

    Used in one event loop. ``clock`` returns seconds.
    """

    def __init__(self, jobs_per_replica: int, waiting_limit: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._jobs_per_replica = jobs_per_replica
        self._waiting_limit = waiting_limit
        self._clock = clock
        self._replica_ids: tuple[str, ...] = ()
        self._held: dict[str, _Held] = {}
        self._waiting: dict[str, asyncio.Future[str]] = {}

    @property
    def waiting_count(self) -> int:
        """Jobs that wait."""
        return len(self._waiting)

    def set_replicas(self, replica_ids: Collection[str]) -> None:
        """The replicas that take jobs from now on."""
        self._replica_ids = tuple(replica_ids)
        self._hand_out()

    async def take(self, job_id: str) -> str:
        """Waits for a place and returns its replica. A job that had a place loses it. Raises ``NoPlace``."""
        self.free(job_id)
        if not self._waiting and (replica_id := self._least_loaded()) is not None:
            self._held[job_id] = _Held(replica_id, self._clock())
            return replica_id
        if len(self._waiting) >= self._waiting_limit:
            raise NoPlace
        place: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._waiting[job_id] = place
        try:
            return await place
        except asyncio.CancelledError:
            self._waiting.pop(job_id, None)
            self.free(job_id)
            raise

    def sent(self, job_id: str) -> None:
        """The job is on its replica."""
        if job_id in self._held:
            self._held[job_id].is_sent = True

    def free(self, job_id: str) -> None:
        """The job has ended. Does nothing for a job without a place."""
        if self._held.pop(job_id, None) is not None:
            self._hand_out()

    def _hand_out(self) -> None:
        while self._waiting and (replica_id := self._least_loaded()) is not None:
            job_id = next(iter(self._waiting))
            place = self._waiting.pop(job_id)
            if not place.done():
                self._held[job_id] = _Held(replica_id, self._clock())
                place.set_result(replica_id)

    def _least_loaded(self) -> str | None:
        """The replica with the fewest jobs; None: every place is taken."""
        oldest = self._clock() - _UNUSED_SECONDS
        for job_id, held in list(self._held.items()):
            if not held.is_sent and held.given_at < oldest:
                del self._held[job_id]
        counts = dict.fromkeys(self._replica_ids, 0)
        for held in self._held.values():
            if held.replica_id in counts:
                counts[held.replica_id] += 1
        if not counts:
            return None
        replica_id = min(counts, key=lambda item: counts[item])
        return replica_id if counts[replica_id] < self._jobs_per_replica else None
