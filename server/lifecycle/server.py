"""Start, drain and stop of one server with its ports.

Start: metrics port, gRPC port with health NOT_SERVING, engine opened, SERVING.
Drain: as ``lifecycle.core`` says.
Stop: the running job ended, ports closed, the engine closed.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import grpc
import grpc.aio
from grpc_health.v1 import health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from server.lifecycle.core import SERVICE_NAME, ServerCore
from server.lifecycle.ports import BoundPort, bind_grpc, grpc_options, listen_metrics
from server.observability.gpus import nvml_gpus
from server.rpc import health
from server.security.tls import server_credentials
from stillcue.v1 import service_pb2_grpc

if TYPE_CHECKING:
    from collections.abc import Callable

    from engine.api.engine import Engine
    from server.observability.gpus import Gpu
    from server.observability.metrics_endpoint import MetricsEndpoint
    from server.observability.spans import Tracing
    from server.settings import Address, Settings, UnixAddress

_LAST_WORDS_SECONDS = 1.0


class Server:
    """One gRPC server with its metrics port and its engine. Constructed and used inside a running event loop."""

    def __init__(
        self,
        settings: Settings,
        open_engine: Callable[[], Engine],
        find_gpus: Callable[[str], list[Gpu]] = nvml_gpus,
        tracing: Tracing | None = None,
    ) -> None:
        """The arguments are those of ``ServerCore``. Raises ``SettingInvalid``."""
        self._settings = settings
        self._core = ServerCore(settings, open_engine, find_gpus, tracing)
        self._metrics_endpoint: MetricsEndpoint | None = None
        self._credentials = server_credentials(settings)
        self._health_grpc: grpc.aio.Server | None = None
        self._bound_ports: list[BoundPort] = []
        self._grpc = grpc.aio.server(
            interceptors=[self._core.interceptor()],
            options=grpc_options(settings),
            compression=grpc.Compression.NoCompression,  # frames are compressed already, or meant to be raw
        )

    async def start(self) -> tuple[Address | UnixAddress, Address]:
        """Serves; returns the bound addresses of gRPC and of the metrics.

        Raises ``SettingInvalid`` where an address cannot be bound, and what opening the engine raises. Call ``stop``
        in each case.
        """
        self._metrics_endpoint = listen_metrics(self._settings.metrics_listen, self._core.metrics)
        await self._listen_health()
        address = await self._listen_grpc()
        await self._core.open()
        return address, self._metrics_endpoint.address

    async def drain(self, hurry: asyncio.Event) -> None:
        """Lets the running job finish within the grace; ``hurry`` ends the grace at once."""
        await self._core.drain(hurry)

    async def stop(self) -> bool:
        """Ends every job and closes all ports and the engine. Returns False where a graph call still runs."""
        self._core.end_calls()
        for port in self._bound_ports:
            port.remove_file()
        await self._grpc.stop(_LAST_WORDS_SECONDS)
        if self._health_grpc is not None:
            await self._health_grpc.stop(_LAST_WORDS_SECONDS)
        if self._metrics_endpoint is not None:
            await asyncio.to_thread(self._metrics_endpoint.close)
        return await self._core.close()

    async def _listen_grpc(self) -> Address | UnixAddress:
        service_pb2_grpc.add_StillcueServiceServicer_to_server(self._core.servicer, self._grpc)
        health_pb2_grpc.add_HealthServicer_to_server(self._core.health, self._grpc)
        reflection.enable_server_reflection((SERVICE_NAME, health.SERVICE_NAME, reflection.SERVICE_NAME), self._grpc)
        return (await self._bind(self._grpc, "listen", self._credentials)).address

    async def _listen_health(self) -> None:
        if self._settings.health_listen is None:
            return
        self._health_grpc = grpc.aio.server(
            interceptors=[self._core.interceptor(is_guarded=False)],
            options=grpc_options(self._settings),
        )
        health_pb2_grpc.add_HealthServicer_to_server(self._core.health, self._health_grpc)
        await self._bind(self._health_grpc, "health_listen", None)

    async def _bind(self, server: grpc.aio.Server, name: str, credentials: grpc.ServerCredentials | None) -> BoundPort:
        port = await bind_grpc(server, name, self._settings, credentials)
        self._bound_ports.append(port)
        return port
