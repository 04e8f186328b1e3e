"""Names in the metadata of a call between gateway, router and replica. Imports nothing of Ray."""

from __future__ import annotations

# The deadline in Unix time: Ray does not pass a call's deadline on.
DEADLINE_HEADER = "stillcue-ray-deadline"
# The key of the replica that has the caller's job (docs/fleet.md); what the caller sends reaches the router as it is.
REPLICA_HEADER = "stillcue-replica"
GENERATE = "Generate"
