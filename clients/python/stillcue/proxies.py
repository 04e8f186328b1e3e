"""HTTP proxies of the environment, as gRPC takes them: the variable that applies to a target.

gRPC takes the first of ``grpc_proxy``, ``https_proxy`` and ``http_proxy`` that is set, in lower case only, also for
plain text; an empty one, or one that is no ``http://`` URL, means no proxy. ``no_grpc_proxy``, or else ``no_proxy``,
lists ends of host names and networks that are called directly
(https://github.com/grpc/grpc/blob/master/doc/environment_variables.md).
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stillcue.addresses import split_host

if TYPE_CHECKING:
    from collections.abc import Mapping

_PROXY_VARIABLES = ("grpc_proxy", "https_proxy", "http_proxy")
_EXCEPTION_VARIABLES = ("no_grpc_proxy", "no_proxy")
# Options of a channel that takes no proxy. The second one holds against GRPC_ADDRESS_HTTP_PROXY.
DIRECT: tuple[tuple[str, int | str], ...] = (
    ("grpc.enable_http_proxy", 0),
    ("grpc.address_http_proxy_enabled_addresses", ""),
)


@dataclass(frozen=True, slots=True)
class Proxy:
    """The proxy that gRPC takes to ``host``, and the variables that say so.

    ``address`` is the proxy's HOST:PORT, without user and password.
    """

    host: str
    address: str
    variable: str
    exception_variable: str

    @property
    def remedy(self) -> str:
        """A sentence for the message of a call that failed."""
        return (
            f"the environment variable {self.variable} sends the call through the proxy {self.address}; to call "
            f"{self.host} directly, add it to {self.exception_variable} or unset {self.variable}"
        )


def proxy_to(target: str, environment: Mapping[str, str]) -> Proxy | None:
    """Returns the proxy that gRPC takes to a target; None: the target is called directly."""
    variable = next((name for name in _PROXY_VARIABLES if name in environment), None)
    if variable is None or target.startswith(("unix:", "unix-abstract:", "vsock:")):
        return None
    scheme, found, rest = environment[variable].partition("://")
    address = rest.partition("/")[0].rpartition("@")[2]
    if scheme.lower() != "http" or not found or not address:
        return None
    if target.startswith(("dns:", "ipv4:", "ipv6:", "xds:", "google-c2p:")):
        target = target.partition(":")[2].rpartition("/")[2]
    host, _ = split_host(target)
    exceptions = next((name for name in _EXCEPTION_VARIABLES if name in environment), _EXCEPTION_VARIABLES[-1])
    if _is_listed(host, environment.get(exceptions, "")):
        return None
    return Proxy(host, address, variable, exceptions)


def _is_listed(host: str, exceptions: str) -> bool:
    entries = [entry.strip() for entry in exceptions.split(",") if entry.strip()]
    return any(host.lower().endswith(entry.lower()) or _is_inside(host, entry) for entry in entries)


def _is_inside(host: str, network: str) -> bool:
    try:
        return "/" in network and ipaddress.ip_address(host) in ipaddress.ip_network(network, strict=False)
    except ValueError:
        return False
