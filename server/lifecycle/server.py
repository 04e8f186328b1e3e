"""Start, drain and stop of one server.

Start: metrics port, gRPC port with health NOT_SERVING, engine opened on its thread, SERVING.
Drain: health NOT_SERVING, new calls refused, waiting jobs and jobs without a reader ended; the running job finishes
within the grace.
Stop: the running job ended, ports closed, the engine closed on its thread; an engine process that does not end is
killed.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

import grpc
import grpc.aio
from grpc_health.v1 import health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from engine import find_video_support
from server.lifecycle.engine_watch import EngineWatch
from server.lifecycle.ports import BoundPort, bind_grpc, grpc_options, listen_metrics
from server.lifecycle.watched_engine import WatchedEngine
from server.observability.gpus import nvml_gpus
from server.observability.metrics import Method, Metrics
from server.observability.metrics_endpoint import MetricsEndpoint
from server.observability.tracing import open_tracing
from server.rpc import health
from server.rpc.context import ServerContext
from server.rpc.interceptors import CallInterceptor
from server.rpc.servicer import StillcueServicer
from server.runtime.engine_thread import EngineThread
from server.runtime.readiness import ReadinessGate
from server.security.guard import Guard
from server.security.quotas import Quotas
from server.security.tls import server_credentials
from server.settings import Address, Settings, UnixAddress
from stillcue.v1 import service_pb2, service_pb2_grpc

if TYPE_CHECKING:
    from collections.abc import Callable

    from engine.api.engine import Engine
    from server.observability.gpus import Gpu
    from server.observability.spans import Tracing

_logger = logging.getLogger(__name__)

_SERVICE = service_pb2.DESCRIPTOR.services_by_name["StillcueService"]
SERVICE_NAME: str = _SERVICE.full_name
_LAST_WORDS_SECONDS = 1.0
_ENGINE_STOP_SECONDS = 1.0


class Server:
    """One gRPC server with its metrics port and its engine. Constructed and used inside a running event loop."""

    def __init__(
        self,
        settings: Settings,
        open_engine: Callable[[], Engine],
        find_gpus: Callable[[str], list[Gpu]] = nvml_gpus,
        tracing: Tracing | None = None,
    ) -> None:
        """``find_gpus`` gets the UUID of the engine's GPU. ``tracing`` None: as the settings say.

        Raises ``SettingInvalid``.
        """
        self._settings = settings
        self._open_engine = open_engine
        self._metrics = Metrics()
        self._metrics.expect_calls(_methods())
        self._find_gpus = find_gpus
        self._health = health.Health(SERVICE_NAME)
        self._gate: ReadinessGate[ServerContext] = ReadinessGate()
        self._context: ServerContext | None = None
        self._is_draining = False
        self._engine_thread = EngineThread()
        self._metrics_endpoint: MetricsEndpoint | None = None
        self._quotas = Quotas()
        self._tracing = open_tracing(settings.otlp_endpoint) if tracing is None else tracing
        self._credentials = server_credentials(settings)
        guard = Guard.build(settings, self._quotas, health.SERVICE_NAME)
        self._health_grpc: grpc.aio.Server | None = None
        self._bound_ports: list[BoundPort] = []
        self._grpc = grpc.aio.server(
            interceptors=[CallInterceptor(self._metrics, guard, health.SERVICE_NAME)],
            options=grpc_options(settings),
            compression=grpc.Compression.NoCompression,  # frames are compressed already, or meant to be raw
        )

    async def start(self) -> tuple[Address | UnixAddress, Address]:
        """Serves; returns the bound addresses of gRPC and of the metrics.

        Raises ``SettingInvalid`` where an address cannot be bound, and what opening the engine raises. Call ``stop``
        in each case.
        """
        self._metrics_endpoint = listen_metrics(self._settings.metrics_listen, self._metrics)
        await self._listen_health()
        address = await self._listen_grpc()
        opening = asyncio.wrap_future(self._engine_thread.submit(self._open_engine))
        searching = asyncio.to_thread(find_video_support, self._settings.video_encoders)
        engine, video_support = await asyncio.gather(opening, searching)
        if engine.supervision() is None:
            engine = WatchedEngine(engine, self._set_engine_running)
        self._context = ServerContext.build(
            engine,
            self._engine_thread,
            self._settings,
            self._metrics,
            self._quotas,
            video_support=video_support,
        )
        encoders = {codec.value: encoder for codec, encoder in video_support.encoders.items()}
        _logger.info("video encoders", extra={"fields": {"encoders": encoders, "absence": video_support.absence}})
        capabilities = self._context.capabilities
        device = {"device": capabilities.device, "gpu_uuid": capabilities.gpu_uuid, "runtime": capabilities.runtime}
        _logger.info("engine open", extra={"fields": device})
        self._metrics.describe_build(capabilities)
        self._metrics.watch_gpus(await asyncio.to_thread(self._find_gpus, capabilities.gpu_uuid))
        self._gate.open(self._context)
        self._set_serving(True)
        supervision = engine.supervision()
        if supervision is not None:
            EngineWatch(supervision, self._metrics, self._set_engine_running)
        return address, self._metrics_endpoint.address

    async def drain(self, hurry: asyncio.Event) -> None:
        """Lets the running job finish within the grace; ``hurry`` ends the grace at once."""
        _logger.info("draining", extra={"fields": {"grace_seconds": self._settings.drain_grace_seconds}})
        self._is_draining = True
        self._metrics.is_draining.set(1)
        self._set_serving(False)
        self._gate.close()
        if self._context is not None:
            self._context.jobs.drain()
        waits = [asyncio.create_task(self._gate.wait_empty()), asyncio.create_task(hurry.wait())]
        await asyncio.wait(waits, timeout=self._settings.drain_grace_seconds, return_when=asyncio.FIRST_COMPLETED)
        for wait in waits:
            wait.cancel()

    async def stop(self) -> bool:
        """Ends every job and closes all ports and the engine. Returns False where a graph call still runs."""
        self._gate.close()
        if self._context is not None:
            self._context.jobs.stop()
        self._health.finish()
        for port in self._bound_ports:
            port.remove_file()
        await self._grpc.stop(_LAST_WORDS_SECONDS)
        if self._health_grpc is not None:
            await self._health_grpc.stop(_LAST_WORDS_SECONDS)
        if self._metrics_endpoint is not None:
            await asyncio.to_thread(self._metrics_endpoint.close)
        if self._context is not None:
            self._context.close()
            self._engine_thread.submit(self._context.engine.close)
        is_at_rest = await asyncio.to_thread(self._engine_thread.close, _ENGINE_STOP_SECONDS)
        supervision = self._context.engine.supervision() if self._context is not None else None
        if not is_at_rest and supervision is not None:
            supervision.kill()
            is_at_rest = await asyncio.to_thread(self._engine_thread.close, _ENGINE_STOP_SECONDS)
        if self._tracing is not None:
            await asyncio.to_thread(self._tracing.close)
        return is_at_rest

    def _set_engine_running(self, refusal: Callable[[], Exception] | None) -> None:
        """``refusal`` None: the engine runs. Otherwise new jobs are refused with what ``refusal`` returns."""
        if self._context is not None and not self._is_draining:
            self._context.jobs.refuse_new(refusal)
            self._set_serving(refusal is None)

    def _set_serving(self, is_serving: bool) -> None:
        self._health.set_serving(is_serving)
        self._metrics.is_serving.set(is_serving)

    async def _listen_grpc(self) -> Address | UnixAddress:
        servicer = StillcueServicer(self._gate, self._metrics, self._settings, self._tracing)
        service_pb2_grpc.add_StillcueServiceServicer_to_server(servicer, self._grpc)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._grpc)
        reflection.enable_server_reflection((SERVICE_NAME, health.SERVICE_NAME, reflection.SERVICE_NAME), self._grpc)
        return (await self._bind(self._grpc, "listen", self._credentials)).address

    async def _listen_health(self) -> None:
        if self._settings.health_listen is None:
            return
        self._health_grpc = grpc.aio.server(
            interceptors=[CallInterceptor(self._metrics, None, health.SERVICE_NAME)],
            options=grpc_options(self._settings),
        )
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._health_grpc)
        await self._bind(self._health_grpc, "health_listen", None)

    async def _bind(self, server: grpc.aio.Server, name: str, credentials: grpc.ServerCredentials | None) -> BoundPort:
        port = await bind_grpc(server, name, self._settings, credentials)
        self._bound_ports.append(port)
        return port


def _methods() -> list[Method]:
    return [
        Method("server_stream" if method.server_streaming else "unary", SERVICE_NAME, method.name)
        for method in _SERVICE.methods
    ]
