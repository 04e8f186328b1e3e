"""Checks that the addresses of the settings can be bound, without gRPC: before the engine starts to open."""

from __future__ import annotations

import socket
from pathlib import Path

from server.lifecycle.unix_sockets import check_socket_free
from server.settings import Address, SettingInvalid, Settings, UnixAddress


def check_addresses(settings: Settings) -> None:
    """Raises ``SettingInvalid`` for the first address that cannot be bound."""
    check_free("listen", settings.listen)
    check_free("metrics_listen", settings.metrics_listen)
    if settings.health_listen is not None:
        check_free("health_listen", settings.health_listen)


def check_free(name: str, address: Address | UnixAddress) -> None:
    """Raises ``SettingInvalid`` with the system's reason why an address cannot be bound; gRPC only logs the reason."""
    try:
        if isinstance(address, UnixAddress):
            check_socket_free(Path(address.path))
            return
        family, kind, protocol, _, target = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(target)
    except OSError as error:
        raise cannot_bind(name, address, error) from None


def cannot_bind(name: str, address: Address | UnixAddress, error: OSError) -> SettingInvalid:
    """The error for an address that the system refuses to bind."""
    reason = (error.strerror or str(error)).lower()
    remedy = "path" if isinstance(address, UnixAddress) else "address, or port 0 for any"
    return SettingInvalid(f"--{name.replace('_', '-')} {address} cannot be bound: {reason}; choose another {remedy}")
