"""What an operator states about a fleet, checked: servers, addresses, limits and files of TLS."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from stillcue.addresses import InvalidAddress, split_address

# Names stand in file names and in HAProxy's configuration, where other characters need quoting.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}")


class FleetInvalid(ValueError):
    """A flag is wrong; the message names it, the fault and the remedy."""


@dataclass(frozen=True)
class Replica:
    """A server as HAProxy reaches it. ``key`` is the start of its resume tokens, before the dot."""

    name: str
    address: str
    key: str


@dataclass(frozen=True)
class TlsToServers:
    """Encrypted connections to the servers: their authority, and HAProxy's own certificate for mutual TLS."""

    authority: Path
    certificate: Path | None = None
    host_name: str | None = None


@dataclass(frozen=True)
class Fleet:
    """Servers behind one address, and the limits of the shared queue.

    ``certificate`` is a PEM file with chain and key of HAProxy; None: plain text. ``client_authority``: clients need a
    certificate of that authority.
    """

    replicas: tuple[Replica, ...]
    listen: str
    metrics_listen: str
    queue_jobs: int
    queue_seconds: int
    retry_seconds: int
    certificate: Path | None = None
    client_authority: Path | None = None
    to_servers: TlsToServers | None = None
    user: str | None = None


def replica_key(replica_name: str) -> str:
    """Returns the key that the server derives from its setting ``--replica``."""
    return hashlib.sha256(b"stillcue replica " + replica_name.encode()).hexdigest()[:16]
