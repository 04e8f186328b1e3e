"""The statements of an operator about a fleet, checked: servers, addresses, limits and files of TLS."""

from __future__ import annotations

import ipaddress
import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from server.jobs.replica import replica_key
from stillcue.addresses import host_and_port, join_host, shown

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

# Names stand in HAProxy's configuration, where other characters would need quoting.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}")


class FleetInvalid(Exception):
    """A flag is wrong; the message names it, the fault and the remedy."""


@dataclass(frozen=True)
class Replica:
    """A server as HAProxy reaches it. ``key`` begins its resume tokens, before the dot."""

    name: str
    host: str
    port: int
    key: str

    @property
    def address(self) -> str:
        """``HOST:PORT``."""
        return join_host(self.host, self.port)


@dataclass(frozen=True)
class TlsToServers:
    """Encrypted connections to the servers.

    ``authority`` signs their certificates, ``certificate`` is HAProxy's own for mutual TLS (chain and key in one file),
    ``host_name`` the name that their certificates hold; None: the host of each address.
    """

    authority: Path
    certificate: Path | None
    host_name: str | None


@dataclass(frozen=True)
class Fleet:
    """Servers behind one address, and the limits of the queue that they share.

    ``queue_job_count`` jobs wait at most, each for ``queue_seconds``; a refused caller is told to come again after
    ``retry_seconds``. ``certificate`` holds HAProxy's chain and key; None: plain text. With ``client_authority``
    callers need a certificate. ``user``: HAProxy runs as this user and group once its ports are open.
    ``follows_names``: names of servers are looked up again and again, and may be unknown for now.
    """

    replicas: tuple[Replica, ...]
    listen: str
    metrics_listen: str
    queue_job_count: int
    queue_seconds: int
    retry_seconds: int
    certificate: Path | None = None
    client_authority: Path | None = None
    to_servers: TlsToServers | None = None
    user: str | None = None
    follows_names: bool = False

    def __post_init__(self) -> None:
        if self.client_authority is not None and self.certificate is None:
            raise FleetInvalid("--tls-client-ca needs --tls-certificate: without TLS nobody shows a certificate")
        if self.listen == self.metrics_listen:
            raise FleetInvalid(f"--listen and --metrics-listen are both {self.listen}; give each its own port")
        if self.user is not None and not _NAME.fullmatch(self.user):
            raise FleetInvalid(f"--user {self.user!a} is no name of a user")
        if self.to_servers is not None and self.to_servers.host_name is None:
            for replica in self.replicas:
                if _is_ip(replica.host):
                    raise FleetInvalid(
                        f"--server {replica.name}={replica.address} has no name to find in a certificate; "
                        "give the name that the certificates hold as --servers-tls-name"
                    )


def read_replicas(texts: Sequence[str], salt: str) -> tuple[Replica, ...]:
    """Reads ``NAME=HOST:PORT`` of each server. Its setting ``--replica`` is ``SALT/NAME``, or NAME without a salt.

    Raises ``FleetInvalid``.
    """
    if not texts:
        raise FleetInvalid("no server is given; add --server NAME=HOST:PORT for each")
    replicas = tuple(_read_replica(text, salt) for text in texts)
    for kind, values in (("name", [item.name for item in replicas]), ("address", [item.address for item in replicas])):
        value, count = Counter(values).most_common(1)[0]
        if count > 1:
            raise FleetInvalid(f"--server gives the {kind} {value} {count} times; each server needs its own")
    return replicas


def read_address(flag: str, text: str) -> str:
    """Returns ``HOST:PORT`` as HAProxy reads it. Raises ``FleetInvalid``."""
    try:
        return join_host(*host_and_port(text, example_host="localhost", lowest_port=1))
    except ValueError as error:
        raise FleetInvalid(f"{flag}: {shown(text)} {error}") from None


def _read_replica(text: str, salt: str) -> Replica:
    name, sign, address = text.partition("=")
    if not sign:
        raise FleetInvalid(f"--server {text!a} is not NAME=HOST:PORT; write for example a=10.0.0.11:50051")
    if not _NAME.fullmatch(name):
        raise FleetInvalid(f"--server {text!a}: the name has other characters than letters, digits, '.', '_' and '-'")
    try:
        host, port = host_and_port(address, example_host="localhost", lowest_port=1)
    except ValueError as error:
        raise FleetInvalid(f"--server {name}: {shown(address)} {error}") from None
    if _is_ip(host) and ipaddress.ip_address(host).is_unspecified:
        raise FleetInvalid(f"--server {name}: {address} is an address to listen on; give the one to call")
    return Replica(name, host, port, replica_key(f"{salt}/{name}" if salt else name))


def _is_ip(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
