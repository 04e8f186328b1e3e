"""Chooses the replica of each call, in Ray's proxy: an extension of Ray Serve's request router.

Ray's own router gives a call to the replica with the fewest calls, polls while all are full, and counts a cancel like
a job. Here a job gets a place of ``places``, a call that names the replica of its job goes there, and other calls never
wait behind jobs.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from ray.serve.exceptions import BackPressureError
from ray.serve.request_router import PendingRequest, ReplicaID, RequestRouter, RunningReplica

from deploy.ray.metadata import GENERATE
from deploy.ray.places import NoPlace, Places
from stillcue.resumption import REPLICA_HEADER

if TYPE_CHECKING:
    from ray.serve.request_router import ReplicaResult

# A waiting job occupies one of Ray's routing tasks; calls that cannot start one wait behind it.
_ROUTING_TASK_COUNT = 100_000
# A replica that could not be reached gets no call for this long, if there is another one.
_UNREACHABLE_SECONDS = 5.0
# Keys of what a replica tells about itself.
KEY_FIELD = "replica_key"
SERVING_FIELD = "is_serving"


class StillcueRouter(RequestRouter):
    """``request_router_kwargs``: ``jobs_per_replica`` and ``waiting_limit`` of ``Places``."""

    max_num_routing_tasks_cap = _ROUTING_TASK_COUNT

    @property
    def max_num_routing_tasks(self) -> int:
        """Ray's limit is twice the number of replicas, which would let two waiting jobs block a cancel."""
        return self.max_num_routing_tasks_cap

    def initialize_state(self, *, jobs_per_replica: int, waiting_limit: int) -> None:
        """Called by Ray with ``request_router_kwargs``."""
        self._places = Places(jobs_per_replica, waiting_limit)
        self._waiting_limit = waiting_limit
        self._loop: asyncio.AbstractEventLoop | None = None
        self._unreachable: set[ReplicaID] = set()

    def update_replicas(self, replicas: list[RunningReplica]) -> None:
        """Called by Ray whenever replicas come, go or tell something new."""
        super().update_replicas(replicas)
        self._offer_places()

    def on_replica_actor_died(self, replica_id: ReplicaID) -> None:
        """Called by Ray when a call finds a replica dead."""
        super().on_replica_actor_died(replica_id)
        self._offer_places()

    def on_replica_actor_unavailable(self, replica_id: ReplicaID) -> None:
        """Called by Ray when a call does not reach a replica, which may be dead."""
        super().on_replica_actor_unavailable(replica_id)
        if self._loop is not None:
            self._unreachable.add(replica_id)
            self._loop.call_soon_threadsafe(self._offer_places)
            self._loop.call_soon_threadsafe(self._loop.call_later, _UNREACHABLE_SECONDS, self._forgive, replica_id)

    async def choose_replicas(
        self, candidate_replicas: list[RunningReplica], pending_request: PendingRequest | None = None
    ) -> list[list[RunningReplica]]:
        """The replica of a call."""
        self._loop = asyncio.get_running_loop()
        if pending_request is None:
            return [candidate_replicas]
        pending_request.routing_context.should_backoff = True
        reachable = [item for item in candidate_replicas if item.replica_id not in self._unreachable]
        key = _replica_key_of(pending_request)
        named = [item for item in reachable if key and item.replica_metadata.get(KEY_FIELD) == key]
        if named:
            return [named]
        if pending_request.metadata.call_method != GENERATE:
            return [reachable or candidate_replicas]
        try:
            taken = await self._places.take(pending_request.metadata.internal_request_id)
        except NoPlace:
            self._refuse(pending_request)
            return [candidate_replicas]  # Ray looks at the refused request again before it sends it
        return [[item for item in self.curr_replicas.values() if item.replica_id.unique_id == taken]]

    def on_request_routed(
        self,
        pending_request: PendingRequest,
        replica_id: ReplicaID,  # noqa: ARG002
        result: ReplicaResult,  # noqa: ARG002
    ) -> None:
        """Called by Ray when a replica has accepted a call."""
        self._places.sent(pending_request.metadata.internal_request_id)

    def on_request_completed(self, replica_id: ReplicaID, internal_request_id: str) -> None:  # noqa: ARG002
        """Called by Ray when a call has ended, on any thread."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._places.free, internal_request_id)

    def _refuse(self, pending_request: PendingRequest) -> None:
        refusal = BackPressureError(
            num_queued_requests=self._places.waiting_count, max_queued_requests=self._waiting_limit
        )
        if not pending_request.future.done():
            pending_request.future.set_exception(refusal)
        self._remove_pending_request_from_indices(pending_request)

    def _offer_places(self) -> None:
        """Replicas whose engine is being restarted refuse jobs, so they get none."""
        self._places.set_replicas(
            [
                replica.replica_id.unique_id
                for replica in self.curr_replicas.values()
                if replica.replica_id not in self._unreachable
                and (replica.routing_stats or {}).get(SERVING_FIELD, True)
            ]
        )

    def _forgive(self, replica_id: ReplicaID) -> None:
        self._unreachable.discard(replica_id)
        self._offer_places()


def _replica_key_of(request: PendingRequest) -> str:
    context: Any = request.metadata.grpc_context
    metadata = [] if context is None else context.invocation_metadata()
    return next((str(value) for key, value in metadata if key == REPLICA_HEADER), "")
