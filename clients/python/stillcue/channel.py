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
# gRPC's own waits grow to two minutes; a stream that broke waits for less than one.
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
    """TLS credentials, or None for plaintext.

    ``tls`` None means plaintext to this machine and TLS to any other. ``root_certificates`` (PEM) replaces the
    system's; ``certificate_chain`` and ``private_key`` (PEM) are what the client shows of itself. Each of them implies
    TLS. Raises ``ValueError`` for any of them together with ``tls=False``, and for one of the last two alone.
    """
    given = {
        "root_certificates": root_certificates,
        "certificate_chain": certificate_chain,
        "private_key": private_key,
    }
    named = [name for name, value in given.items() if value is not None]
    if named and tls is False:
        raise ValueError(f"{' and '.join(named)} given with tls=False; leave one or the other out")
    if (certificate_chain is None) != (private_key is None):
        raise ValueError("certificate_chain and private_key go together; give both, or neither")
    if not named and not (not is_loopback(target) if tls is None else tls):
        return None
    return grpc.ssl_channel_credentials(root_certificates, private_key, certificate_chain)


def call_metadata(token: str | None, target: str, *, is_encrypted: bool) -> tuple[tuple[str, str], ...]:
    """What goes with every call.

    Raises ``ValueError`` for a token that would cross the network in plain text, and for one that no header can
    carry. Messages never hold the token.
    """
    if token is None:
        return ()
    if not is_encrypted and not is_loopback(target):
        raise ValueError(f"the token would cross the network to {target} in plain text; leave out tls=False")
    if not is_token(token):
        raise ValueError("the token is empty or holds spaces, line ends or characters beyond ASCII; is it whole?")
    return (("authorization", f"Bearer {token}"),)


def is_token(text: str) -> bool:
    """Whether a header can carry the text as a bearer token: printable ASCII without spaces."""
    return bool(text) and text.isascii() and text.isprintable() and " " not in text


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
