"""Names in the metadata of a call between gateway, router and replica. Imports nothing of Ray."""

from __future__ import annotations

# The deadline in Unix time: Ray does not pass a call's deadline on.
DEADLINE_HEADER = "stillcue-ray-deadline"
GENERATE = "Generate"
