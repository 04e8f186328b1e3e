"""Connections to servers: one client for each address, kept from run to run and closed when ComfyUI ends."""

from __future__ import annotations

import atexit
import threading
from typing import TYPE_CHECKING

import stillcue

from .errors import NodeError
from .interruption import interruptible
from .node_errors import node_error
from .server_link import ServerLink
from .servers_file import Secrets, secrets_for, servers_path, shown_path
from .wheel import check_server_version

if TYPE_CHECKING:
    from stillcue import Capabilities, Client

CALL_SECONDS = 10.0
FINGERPRINT_SECONDS = 2.0
_TLS = {"auto": None, "on": True, "off": False}

_clients: dict[tuple[ServerLink, Secrets], Client] = {}
_last_digests: dict[ServerLink, str] = {}
_lock = threading.Lock()


def client_of(link: ServerLink) -> Client:
    """Returns the client of a server, which later runs use too. Raises ``NodeError`` for a wrong address or file."""
    key = link, secrets_for(link.address)
    with _lock:
        if key not in _clients:
            _clients[key] = _open(*key)
        return _clients[key]


def new_client(link: ServerLink) -> Client:
    """Returns a client for one call, to be closed by the caller: closing it ends the call."""
    return _open(link, secrets_for(link.address))


def close_all() -> None:
    """Closes every client that is kept."""
    with _lock:
        clients = list(_clients.values())
        _clients.clear()
    for client in clients:
        client.close()


atexit.register(close_all)


def capabilities_of(link: ServerLink) -> Capabilities:
    """Returns what a server has loaded. Raises ``NodeError`` with the remedy, and ComfyUI's interrupt after Cancel."""
    try:
        found = interruptible(lambda: _ask(link, CALL_SECONDS))
    except stillcue.StillcueError as error:
        raise node_error(error, link) from error
    check_server_version(found.server_version, link.address)
    return found


def fingerprint(link: ServerLink) -> str:
    """Returns the digest of the model that a server has loaded; the last known one, or nothing, if it is away."""
    try:
        return _ask(link, FINGERPRINT_SECONDS).model.bundle_digest
    except (stillcue.StillcueError, NodeError):
        with _lock:
            return _last_digests.get(link, "")


def _ask(link: ServerLink, timeout_seconds: float) -> Capabilities:
    """Returns what a server has loaded, on a new connection if the kept one does not answer.

    gRPC waits up to 2 s between two attempts of one connection; the server may be back in that time.
    """
    try:
        found = client_of(link).capabilities(timeout_seconds=timeout_seconds)
    except stillcue.Unavailable:
        found = _renewed_client(link).capabilities(timeout_seconds=timeout_seconds)
    with _lock:
        _last_digests[link] = found.model.bundle_digest
    return found


def _renewed_client(link: ServerLink) -> Client:
    key = link, secrets_for(link.address)
    fresh = _open(*key)
    with _lock:
        stale, _clients[key] = _clients.get(key), fresh
    if stale is not None:
        stale.close()
    return fresh


def _open(link: ServerLink, secrets: Secrets) -> Client:
    if link.tls not in _TLS:
        raise NodeError(f"tls is {link.tls!r}; choose {', '.join(_TLS)}")
    if link.tls == "off" and secrets.tls_names:
        raise NodeError(
            f"tls is off, but {shown_path(servers_path())} names {secrets.tls_names} for “{link.address}”; choose auto "
            "or on, or take them out of the file"
        )
    if link.tls == "off" and secrets.token is not None and not link.is_this_machine:
        raise NodeError(
            f"tls is off: the token for “{link.address}” would cross the network in plain text; choose auto or on"
        )
    try:
        return stillcue.Client(
            link.address,
            tls=_TLS[link.tls],
            root_certificates=secrets.tls_ca,
            certificate_chain=secrets.tls_cert,
            private_key=secrets.tls_key,
            token=secrets.token,
        )
    except ValueError as error:
        raise NodeError(f"{error}; correct it in the Stillcue Server node, for example localhost:50051") from None
