"""The connection of both clients: channel options, TLS credentials, and the token in call metadata."""

from __future__ import annotations

import ipaddress
import os

import grpc

from stillcue.addresses import check_target, shown, split_host
from stillcue.proxies import DIRECT, proxy_to

# A raw 1280x704 frame is 2.6 MiB and gRPC's default limit is 4 MiB; 64 MiB leaves room for every size of Wan2.2.
MAX_RECEIVED_MESSAGE_BYTES = 64 * 1024 * 1024
# By default a gRPC server without traffic allows one ping in five minutes and closes the connection at the third
# early one. A job can wait in the queue that long, so the client pings less often. The server detects a vanished client
# much sooner by its own pings.
KEEPALIVE_SECONDS = 310
KEEPALIVE_TIMEOUT_SECONDS = 20
# gRPC's default backoff grows to two minutes, far longer than a broken stream usually waits to be resumed.
LONGEST_RECONNECT_SECONDS = 2

_OPTIONS: tuple[tuple[str, int | str], ...] = (
    ("grpc.max_receive_message_length", MAX_RECEIVED_MESSAGE_BYTES),
    ("grpc.keepalive_time_ms", KEEPALIVE_SECONDS * 1000),
    ("grpc.keepalive_timeout_ms", KEEPALIVE_TIMEOUT_SECONDS * 1000),
    ("grpc.http2.ping_timeout_ms", KEEPALIVE_TIMEOUT_SECONDS * 1000),
    ("grpc.max_reconnect_backoff_ms", LONGEST_RECONNECT_SECONDS * 1000),
    # Clients would otherwise share connections to one address, and with them the wait after a failed attempt.
    ("grpc.use_local_subchannel_pool", 1),
)


def channel_options(target: str) -> tuple[tuple[str, int | str], ...]:
    """Returns the options of a channel. A channel to this machine takes no proxy, whatever the environment says.

    A token goes to this machine in plain text, and a proxy would read it.
    """
    return (*_OPTIONS, *DIRECT) if is_loopback(target) else _OPTIONS


def proxy_note(target: str) -> str:
    """Returns the end of the message of a call that reached no server: the proxy that applies; empty if none does."""
    proxy = None if is_loopback(target) else proxy_to(target, os.environ)
    return "" if proxy is None else proxy.remedy


def checked_target(target: str) -> str:
    """Returns the target. Raises ``ValueError`` that says what to leave out or to add if it is no address."""
    try:
        check_target(target)
    except ValueError as error:
        raise ValueError(f"the server's address {shown(target)} {error}") from None
    return target


def channel_credentials(
    target: str,
    *,
    tls: bool | None,
    root_certificates: bytes | None,
    certificate_chain: bytes | None = None,
    private_key: bytes | None = None,
) -> grpc.ChannelCredentials | None:
    """Returns TLS credentials, or None for plaintext.

    ``tls`` None means plaintext to this machine and TLS to any other. ``root_certificates`` (PEM) replaces the
    system's; ``certificate_chain`` and ``private_key`` (PEM) are the client's certificate for mutual TLS. Each of them
    implies TLS. Raises ``ValueError`` for any of them together with ``tls=False``, and for one of the last two alone.
    """
    given = {
        "root_certificates": root_certificates,
        "certificate_chain": certificate_chain,
        "private_key": private_key,
    }
    named = [name for name, value in given.items() if value is not None]
    if named and tls is False:
        raise ValueError(f"{' and '.join(named)} given with tls=False, which needs none; leave out one or the other")
    if (certificate_chain is None) != (private_key is None):
        raise ValueError("certificate_chain and private_key go together; give both, or neither")
    if not named and not (not is_loopback(target) if tls is None else tls):
        return None
    return grpc.ssl_channel_credentials(root_certificates, private_key, certificate_chain)


def call_metadata(token: str | None, target: str, *, is_encrypted: bool) -> tuple[tuple[str, str], ...]:
    """Returns the metadata of every call: the bearer token, if there is one.

    Raises ``ValueError`` for a token that would cross the network in plain text, and for one that is no valid header
    value. Error messages never contain the token.
    """
    if token is None:
        return ()
    if not is_encrypted and not is_loopback(target):
        raise ValueError(f"the token would cross the network to {target} in plain text; leave out tls=False")
    if not is_token(token):
        raise ValueError("the token is empty or holds spaces, line ends or non-ASCII characters; is it complete?")
    return (("authorization", f"Bearer {token}"),)


def is_token(text: str) -> bool:
    """Returns True for a text that can be a bearer token in a header: printable ASCII without spaces."""
    return bool(text) and text.isascii() and text.isprintable() and " " not in text


def is_loopback(target: str) -> bool:
    """Returns True for a gRPC target on this machine: ``localhost``, a loopback address or a Unix socket.

    No other name is looked up: the answer could change before gRPC looks it up again, and a proxy looks it up itself.
    """
    scheme, _, rest = target.partition(":")
    if scheme in {"unix", "unix-abstract"}:
        return True
    if scheme in {"ipv4", "ipv6"}:  # several addresses may stand here
        return all(_is_loopback_host(split_host(item)[0]) for item in rest.rpartition("/")[2].split(","))
    if scheme == "dns":  # a DNS server of its own may answer anything
        target = rest.removeprefix("///")
    return _is_loopback_host(split_host(target)[0])


def _is_loopback_host(host: str) -> bool:
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
