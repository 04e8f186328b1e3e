"""The identity of this server in a fleet: which replica it is, and with which replicas it makes the same clips."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from engine.api.capabilities import Capabilities

KEY_LENGTH = 16
IDENTITY_BYTES = 8


@dataclass(frozen=True, slots=True)
class Replica:
    """One server process.

    ``key`` is derived from the setting ``replica``, "" without one; a proxy finds the server by it. ``fingerprint`` is
    the same for servers that make the same clip of the same request: same bundle, runtime, device, defaults and version
    of the server. ``instance`` is random and new at each start. Both have 8 bytes.
    """

    key: str
    fingerprint: bytes
    instance: bytes

    @classmethod
    def of(cls, name: str, capabilities: Capabilities, server_version: str) -> Replica:
        """The identity of the server that starts now."""
        same = (
            server_version,
            capabilities.bundle_digest,
            capabilities.checkpoint_digest,
            capabilities.runtime,
            capabilities.device,
            capabilities.defaults,
        )
        fingerprint = hashlib.sha256(repr(same).encode()).digest()[:IDENTITY_BYTES]
        return cls(replica_key(name), fingerprint, secrets.token_bytes(IDENTITY_BYTES))


def replica_key(name: str) -> str:
    """The first 16 hexadecimal digits of the SHA-256 of "stillcue replica " and the name; "" for no name.

    The key goes out in resume tokens. It does not tell a name that is hard to guess.
    """
    return hashlib.sha256(f"stillcue replica {name}".encode()).hexdigest()[:KEY_LENGTH] if name else ""
