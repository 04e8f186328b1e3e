"""How a client connects: target, encryption, limits of messages, keepalive. Shared by both clients.

Knows grpc's options; knows no method of the service.
"""

from __future__ import annotations

import ipaddress

import grpc

# A raw 1280x704 frame is 2.6 MiB and gRPC's own limit is 4 MiB; 64 MiB leaves room for any size that Wan2.2 has.
MAX_RECEIVED_MESSAGE_BYTES = 64 * 1024 * 1024
# gRPC servers that were not told otherwise allow one ping in five silent minutes and hang up at the third that
# comes sooner. A job may wait in the queue that long, so the client asks less often; the server finds a vanished
# client much sooner by pings of its own.
KEEPALIVE_SECONDS = 310
KEEPALIVE_TIMEOUT_SECONDS = 20

CHANNEL_OPTIONS: tuple[tuple[str, int], ...] = (
    ("grpc.max_receive_message_length", MAX_RECEIVED_MESSAGE_BYTES),
    ("grpc.keepalive_time_ms", KEEPALIVE_SECONDS * 1000),
    ("grpc.keepalive_timeout_ms", KEEPALIVE_TIMEOUT_SECONDS * 1000),
    ("grpc.http2.ping_timeout_ms", KEEPALIVE_TIMEOUT_SECONDS * 1000),
)


def channel_credentials(
    target: str, *, tls: bool | None, root_certificates: bytes | None
) -> grpc.ChannelCredentials | None:
    """TLS credentials, or None for plaintext.

    ``tls`` None means plaintext to this machine and TLS to any other. ``root_certificates`` (PEM) implies TLS and
    replaces the system's. Raises ``ValueError`` for root certificates together with ``tls=False``.
    """
    if root_certificates is not None and tls is False:
        raise ValueError("root_certificates were given with tls=False; leave one of them out")
    if root_certificates is None and not (not is_loopback(target) if tls is None else tls):
        return None
    return grpc.ssl_channel_credentials(root_certificates=root_certificates)


def call_metadata(token: str | None) -> tuple[tuple[str, str], ...]:
    """What goes with every call."""
    return () if token is None else (("authorization", f"Bearer {token}"),)


def is_loopback(target: str) -> bool:
    """Whether a gRPC target is this machine: ``localhost``, a loopback address or a Unix socket."""
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
