"""Start, drain, stop. Knows the order of things; does not know what a call does.

Start: metrics port, gRPC port with health NOT_SERVING, engine opened on its thread, SERVING.
Drain: health NOT_SERVING, new calls refused, waiting jobs and those that nobody reads ended, the running one finishes
within the grace.
Stop: what still runs is ended, ports are closed, the engine is closed on its thread; one that has a process of its own
and does not come to rest is killed.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
import sys
from typing import TYPE_CHECKING

import grpc
import grpc.aio
from grpc_health.v1 import health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from engine.api.capabilities import Limits
from server.observability.gpus import nvml_cards
from server.observability.metrics import Method, Metrics
from server.observability.metrics_endpoint import MetricsEndpoint
from server.observability.tracing import Tracing, open_tracing
from server.rpc import health
from server.rpc.context import Serving
from server.rpc.interceptors import CallInterceptor
from server.rpc.servicer import StillcueServicer
from server.runtime.engine_thread import EngineThread
from server.runtime.readiness import Gate
from server.runtime.worker_watch import WorkerWatch
from server.security.guard import Guard
from server.security.quotas import Quotas
from server.security.tls import server_credentials
from server.settings import Address, SettingInvalid, Settings
from stillcue.v1 import service_pb2, service_pb2_grpc

if TYPE_CHECKING:
    from collections.abc import Callable

    from engine.api.engine import Engine
    from server.observability.gpus import Card

_logger = logging.getLogger(__name__)

_SERVICE = service_pb2.DESCRIPTOR.services_by_name["StillcueService"]
SERVICE_NAME: str = _SERVICE.full_name
# Around the picture: prompts and settings.
_MAX_REQUEST_BYTES = Limits().max_image_bytes + 1024 * 1024
# A raw frame of 1280x704 has 2,703,360 bytes; one of 1920x1080 fits too.
_MAX_RESPONSE_BYTES = 8 * 1024 * 1024
_MAX_METADATA_BYTES = 8 * 1024
_MAX_OTHER_STREAMS = 1_000
_HANDSHAKE_MILLISECONDS = 10_000
_LAST_WORDS_SECONDS = 1.0
_ENGINE_STOP_SECONDS = 1.0


class Server:
    """One gRPC server with its metrics port and its engine. Made and used inside a running event loop."""

    def __init__(
        self,
        settings: Settings,
        open_engine: Callable[[], Engine],
        find_cards: Callable[[], list[Card]] = nvml_cards,
        tracing: Tracing | None = None,
    ) -> None:
        """``tracing`` None: as the settings say. Raises ``SettingInvalid``."""
        self._settings = settings
        self._open_engine = open_engine
        self._metrics = Metrics()
        self._metrics.expect_calls(_methods())
        self._metrics.watch_cards(find_cards())
        self._health = health.Health(SERVICE_NAME)
        self._gate: Gate[Serving] = Gate()
        self._serving: Serving | None = None
        self._is_draining = False
        self._engine_thread = EngineThread()
        self._metrics_endpoint: MetricsEndpoint | None = None
        self._quotas = Quotas()
        self._tracing = open_tracing(settings.otlp_endpoint) if tracing is None else tracing
        self._credentials = server_credentials(settings)
        guard = Guard.build(settings, self._quotas, health.SERVICE_NAME)
        self._interceptor = CallInterceptor(self._metrics, guard, health.SERVICE_NAME)
        self._health_grpc: grpc.aio.Server | None = None
        self._grpc = grpc.aio.server(
            interceptors=[self._interceptor],
            options=_grpc_options(settings),
            compression=grpc.Compression.NoCompression,  # frames are compressed already, or meant to be raw
        )

    async def start(self) -> tuple[Address, Address]:
        """Serves; returns the addresses of gRPC and of the metrics as they were bound.

        Raises ``SettingInvalid`` where an address cannot be bound, and what opening the engine raises. ``stop`` is
        needed in each case.
        """
        self._metrics_endpoint = _listen_metrics(self._settings.metrics_listen, self._metrics)
        await self._listen_health()
        address = await self._listen_grpc()
        engine = await asyncio.wrap_future(self._engine_thread.submit(self._open_engine))
        self._serving = Serving.build(engine, self._engine_thread, self._settings, self._metrics)
        self._metrics.describe_build(self._serving.capabilities)
        self._gate.open(self._serving)
        self._set_serving(True)
        supervision = engine.supervision()
        if supervision is not None:
            WorkerWatch(supervision, self._metrics, self._set_engine_running)
        return address, self._metrics_endpoint.address

    async def drain(self, hurry: asyncio.Event) -> None:
        """Lets the running job finish within the grace; ``hurry`` ends the grace at once."""
        _logger.info("draining", extra={"fields": {"grace_seconds": self._settings.drain_grace_seconds}})
        self._is_draining = True
        self._set_serving(False)
        self._gate.close()
        if self._serving is not None:
            self._serving.admission.close()
            self._serving.replays.close()
        waits = [asyncio.create_task(self._gate.wait_empty()), asyncio.create_task(hurry.wait())]
        await asyncio.wait(waits, timeout=self._settings.drain_grace_seconds, return_when=asyncio.FIRST_COMPLETED)
        for wait in waits:
            wait.cancel()

    async def stop(self) -> bool:
        """Ends everything; whether the engine came to rest. Where it did not, a graph call still runs."""
        self._gate.close()
        if self._serving is not None:
            self._serving.admission.close()
            self._serving.admission.refuse_running()
            self._serving.replays.close()
        self._health.finish()
        await self._grpc.stop(_LAST_WORDS_SECONDS)
        if self._health_grpc is not None:
            await self._health_grpc.stop(_LAST_WORDS_SECONDS)
        if self._metrics_endpoint is not None:
            await asyncio.to_thread(self._metrics_endpoint.close)
        if self._serving is not None:
            self._serving.close()
            self._engine_thread.submit(self._serving.engine.close)
        is_at_rest = await asyncio.to_thread(self._engine_thread.close, _ENGINE_STOP_SECONDS)
        supervision = self._serving.engine.supervision() if self._serving is not None else None
        if not is_at_rest and supervision is not None:
            supervision.kill()
            is_at_rest = await asyncio.to_thread(self._engine_thread.close, _ENGINE_STOP_SECONDS)
        await asyncio.to_thread(self._tracing.close)
        return is_at_rest

    def _set_engine_running(self, hindrance: Callable[[], Exception] | None) -> None:
        """Whether the engine runs; where it does not, ``hindrance`` tells callers."""
        if self._serving is not None and not self._is_draining:
            self._serving.admission.refuse_new(hindrance)
            self._set_serving(hindrance is None)

    def _set_serving(self, is_serving: bool) -> None:
        self._health.set_serving(is_serving)
        self._metrics.is_serving.set(is_serving)

    async def _listen_grpc(self) -> Address:
        address = self._settings.listen
        servicer = StillcueServicer(self._gate, self._quotas, self._metrics, self._settings, self._tracing)
        service_pb2_grpc.add_StillcueServiceServicer_to_server(servicer, self._grpc)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._grpc)
        reflection.enable_server_reflection((SERVICE_NAME, health.SERVICE_NAME, reflection.SERVICE_NAME), self._grpc)
        _check_free("listen", address)
        if self._credentials is None:
            port = self._grpc.add_insecure_port(str(address))
        else:
            port = self._grpc.add_secure_port(str(address), self._credentials)
        await self._grpc.start()
        return Address(address.host, port)

    async def _listen_health(self) -> None:
        address = self._settings.health_listen
        if address is None:
            return
        _check_free("health_listen", address)
        self._health_grpc = grpc.aio.server(interceptors=[self._interceptor], options=_grpc_options(self._settings))
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._health_grpc)
        self._health_grpc.add_insecure_port(str(address))
        await self._health_grpc.start()


async def run(settings: Settings, open_engine: Callable[[], Engine]) -> bool:
    """Serves until SIGTERM or SIGINT, drains and stops; a second signal ends the grace.

    Prints ``stillcue ready grpc=HOST:PORT metrics=HOST:PORT`` to stdout once calls are let in. Returns and raises
    like ``Server.stop`` and ``Server.start``.
    """
    asked, hurried = asyncio.Event(), asyncio.Event()

    def on_signal() -> None:
        (hurried if asked.is_set() else asked).set()

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, on_signal)
    server = Server(settings, open_engine)
    starting = asyncio.create_task(server.start())
    waiting = asyncio.create_task(asked.wait())
    try:
        await asyncio.wait([starting, waiting], return_when=asyncio.FIRST_COMPLETED)
        if starting.done():
            grpc_address, metrics_address = starting.result()
            sys.stdout.write(f"stillcue ready grpc={grpc_address} metrics={metrics_address}\n")
            sys.stdout.flush()
            await waiting
            await server.drain(hurried)
    finally:
        starting.cancel()
        waiting.cancel()
        is_at_rest = await server.stop()
    return is_at_rest


def _methods() -> list[Method]:
    return [
        Method("server_stream" if method.server_streaming else "unary", SERVICE_NAME, method.name)
        for method in _SERVICE.methods
    ]


def _grpc_options(settings: Settings) -> list[tuple[str, int]]:
    keepalive_milliseconds = round(settings.keepalive_seconds * 1000)
    return [
        ("grpc.max_receive_message_length", _MAX_REQUEST_BYTES),
        ("grpc.max_send_message_length", _MAX_RESPONSE_BYTES),
        # Both, or gRPC lets more than the first pass at random.
        ("grpc.max_metadata_size", _MAX_METADATA_BYTES),
        ("grpc.absolute_max_metadata_size", _MAX_METADATA_BYTES),
        # Of one connection; further calls wait at their sender. The queue and the quotas refuse long before.
        ("grpc.max_concurrent_streams", settings.queue_capacity + _MAX_OTHER_STREAMS),
        ("grpc.server_handshake_timeout_ms", _HANDSHAKE_MILLISECONDS),
        ("grpc.so_reuseport", 0),  # two servers on one port are a mistake, not load balancing
        # A vanished peer is noticed only where all of these are set.
        ("grpc.keepalive_time_ms", keepalive_milliseconds),
        ("grpc.keepalive_timeout_ms", round(settings.ping_timeout_seconds * 1000)),
        ("grpc.http2.ping_timeout_ms", round(settings.ping_timeout_seconds * 1000)),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.max_pings_without_data", 0),
        # Callers may ask as often as the server does.
        ("grpc.http2.min_ping_interval_without_data_ms", keepalive_milliseconds),
    ]


def _listen_metrics(address: Address, metrics: Metrics) -> MetricsEndpoint:
    try:
        return MetricsEndpoint(address, metrics.registry)
    except OSError as error:
        raise _cannot_bind("metrics_listen", address, error) from None


def _check_free(name: str, address: Address) -> None:
    """Asks the system, which says why an address cannot be bound; gRPC says so in its own log only."""
    try:
        family, kind, protocol, _, target = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(target)
    except OSError as error:
        raise _cannot_bind(name, address, error) from None


def _cannot_bind(name: str, address: Address, error: OSError) -> SettingInvalid:
    reason = (error.strerror or str(error)).lower()
    return SettingInvalid(
        f"--{name.replace('_', '-')} {address} cannot be bound: {reason}; choose another address, or port 0 for any"
    )
