"""The options of the gRPC servers, and the addresses that the server binds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from engine.api.capabilities import Limits
from server.lifecycle.addresses import cannot_bind, check_free
from server.lifecycle.unix_sockets import UnixSocket
from server.observability.metrics_endpoint import MetricsEndpoint
from server.settings import Address, Settings, UnixAddress

if TYPE_CHECKING:
    import grpc.aio

    from server.observability.metrics import Metrics

# The picture, and a mebibyte for prompts and settings.
_MAX_REQUEST_BYTES = Limits().max_image_bytes + 1024 * 1024
# A raw frame of 1280x704 has 2,703,360 bytes; one of 1920x1080 fits too.
_MAX_RESPONSE_BYTES = 8 * 1024 * 1024
_MAX_METADATA_BYTES = 8 * 1024
_MAX_OTHER_STREAMS = 1_000
_HANDSHAKE_MILLISECONDS = 10_000


def grpc_options(settings: Settings) -> list[tuple[str, int]]:
    """The channel arguments of the server's gRPC ports."""
    keepalive_milliseconds = round(settings.keepalive_seconds * 1000)
    return [
        ("grpc.max_receive_message_length", _MAX_REQUEST_BYTES),
        ("grpc.max_send_message_length", _MAX_RESPONSE_BYTES),
        # gRPC enforces the limit at random unless both are set.
        ("grpc.max_metadata_size", _MAX_METADATA_BYTES),
        ("grpc.absolute_max_metadata_size", _MAX_METADATA_BYTES),
        # Per connection; further calls wait at the caller. The queue and the quotas refuse calls long before.
        ("grpc.max_concurrent_streams", settings.queue_capacity + _MAX_OTHER_STREAMS),
        ("grpc.server_handshake_timeout_ms", _HANDSHAKE_MILLISECONDS),
        ("grpc.so_reuseport", 0),  # two servers on one port are a mistake, not load balancing
        # gRPC detects a vanished peer only where all of these are set.
        ("grpc.keepalive_time_ms", keepalive_milliseconds),
        ("grpc.keepalive_timeout_ms", round(settings.ping_timeout_seconds * 1000)),
        ("grpc.http2.ping_timeout_ms", round(settings.ping_timeout_seconds * 1000)),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.max_pings_without_data", 0),
        # What callers may do does not follow from what the server does.
        ("grpc.http2.min_ping_interval_without_data_ms", round(settings.caller_ping_seconds * 1000)),
    ]


@dataclass(frozen=True, slots=True)
class BoundPort:
    """The address of a gRPC port, with the number that the system chose, and the file of its Unix socket."""

    address: Address | UnixAddress
    _socket: UnixSocket | None = None

    def remove_file(self) -> None:
        """Removes the file of a Unix socket; open connections stay."""
        if self._socket is not None:
            self._socket.remove()


async def bind_grpc(
    server: grpc.aio.Server, name: str, settings: Settings, credentials: grpc.ServerCredentials | None
) -> BoundPort:
    """Starts a gRPC server at the address of the setting ``name``; ``credentials`` None: in plain text.

    Raises ``SettingInvalid`` where the address cannot be bound.
    """
    address: Address | UnixAddress = getattr(settings, name)
    check_free(name, address)
    socket = UnixSocket(address, settings.socket_permissions) if isinstance(address, UnixAddress) else None
    bound = str(address if socket is None else socket.bound_as)
    port = server.add_insecure_port(bound) if credentials is None else server.add_secure_port(bound, credentials)
    await server.start()
    if isinstance(address, Address):
        return BoundPort(Address(address.host, port))
    if socket is not None:
        try:
            socket.publish()
        except OSError as error:
            socket.remove()
            raise cannot_bind(name, address, error) from None
    return BoundPort(address, socket)


def listen_metrics(address: Address, metrics: Metrics) -> MetricsEndpoint:
    """Serves the metrics. Raises ``SettingInvalid`` where the address cannot be bound."""
    try:
        return MetricsEndpoint(address, metrics.registry)
    except OSError as error:
        raise cannot_bind("metrics_listen", address, error) from None
