"""The connection of both clients: channel options, TLS credentials, and the token in call metadata."""

from __future__ import annotations

import ipaddress

import grpc

# A raw 1280x704 frame is 2.6 MiB and gRPC's default limit is 4 MiB; 64 MiB leaves room for every size of Wan2.2.
MAX_RECEIVED_MESSAGE_BYTES = 64 * 1024 * 1024
# By default a gRPC server without traffic allows one ping in five minutes and closes the connection at the third
# early one. A job can wait in the queue that long, so the client pings less often. The server detects a vanished client
# much sooner by its own pings.
KEEPALIVE_SECONDS = 310
KEEPALIVE_TIMEOUT_SECONDS = 20
# gRPC's default backoff grows to two minutes, far longer than a broken stream usually waits to be resumed.
LONGEST_RECONNECT_SECONDS = 2

CHANNEL_OPTIONS: tuple[tuple[str, int], ...] = (
    ("grpc.max_receive_message_length", MAX_RECEIVED_MESSAGE_BYTES),
    ("grpc.keepalive_time_ms", KEEPALIVE_SECONDS * 1000),
    ("grpc.keepalive_timeout_ms", KEEPALIVE_TIMEOUT_SECONDS * 1000),
    ("grpc.http2.ping_timeout_ms", KEEPALIVE_TIMEOUT_SECONDS * 1000),
    ("grpc.max_reconnect_backoff_ms", LONGEST_RECONNECT_SECONDS * 1000),
)


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
    """Returns True for a gRPC target on this machine: ``localhost``, a loopback address or a Unix socket."""
    scheme, _, rest = target.partition(":")
    if scheme in {"unix", "unix-abstract"}:
        return True
    if scheme in {"dns", "ipv4", "ipv6"}:
        target = rest.rpartition("/")[2]
    host = target[1:].partition("]")[0] if target.startswith("[") else target.partition(":")[0]
    if target.count(":") > 1 and not target.startswith("["):  # a bare IPv6 address, without a port
        host = target
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
