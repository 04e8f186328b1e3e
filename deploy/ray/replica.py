"""The replica: the actor with the engine, and the methods that Ray's proxy calls by their names in the contract.

``record_…``, ``check_health`` and ``__del__`` are called by Ray. Ray sends a replica that it stops no further call,
waits for those in progress as long as the grace allows, and then calls ``__del__``.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from grpc_health.v1 import health_pb2_grpc
from ray import serve

from deploy.ray.calls import CallServer, HandlerTable, SerialisedMessage
from deploy.ray.router import KEY_FIELD, SERVING_FIELD
from deploy.ray.scraping import TargetFile, listen
from deploy.ray.settings import FleetArgs, named, read_settings
from server.jobs.replica import replica_key
from server.lifecycle.core import SERVICE_NAME, ServerCore
from server.observability.logs import configure_logging
from server.rpc.health import SERVICE_NAME as HEALTH_SERVICE_NAME
from stillcue.v1 import service_pb2_grpc

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    import grpc
    from ray.serve.grpc_util import RayServegRPCContext

    from engine.api.engine import Engine
    from server.observability.metrics_endpoint import MetricsEndpoint
    from server.settings import Settings

    Launch = Callable[[Settings], Callable[[], Engine]]

_GENERATE, _CANCEL, _SCORE, _CAPABILITIES = (
    f"/{SERVICE_NAME}/{name}" for name in ("Generate", "CancelGenerate", "ScoreMatch", "GetCapabilities")
)
_CHECK, _LIST = (f"/{HEALTH_SERVICE_NAME}/{name}" for name in ("Check", "List"))


class EngineGone(Exception):
    """The engine works in this process and has lost its GPU; Ray replaces the replica."""


class Replica:
    """Opens the engine before it takes calls."""

    async def __init__(self, args: FleetArgs, launch: Launch) -> None:  # type: ignore[misc]  # Ray awaits it
        """``launch`` returns the function that opens the engine. Raises ``SettingInvalid``, and what opening raises."""
        self._replica_id: str = serve.get_replica_context().replica_tag
        self._settings = named(read_settings(os.environ), self._replica_id)
        configure_logging(self._settings.log_level, self._settings.log_format)
        self._core = ServerCore(self._settings, launch(self._settings))
        self._calls = CallServer(self._core.interceptor(), _handlers(self._core))
        self._endpoint: MetricsEndpoint | None = listen(self._settings.metrics_listen, self._core.metrics.registry)
        self._targets: TargetFile | None = None
        await self._core.open()
        if args.targets_folder is not None:
            self._targets = TargetFile(args.targets_folder, self._replica_id)
            self._targets.write(self._endpoint.address, {"replica": self._replica_id})

    async def Generate(  # noqa: N802, D102  named and described by the contract
        self, request: bytes, grpc_context: RayServegRPCContext
    ) -> AsyncGenerator[SerialisedMessage, None]:
        messages = self._calls.stream(_GENERATE, request, grpc_context)
        try:
            async for message in messages:
                yield message
        finally:
            await messages.aclose()

    async def CancelGenerate(self, request: bytes, grpc_context: RayServegRPCContext) -> SerialisedMessage:  # noqa: N802, D102
        return await self._calls.answer(_CANCEL, request, grpc_context)

    async def ScoreMatch(self, request: bytes, grpc_context: RayServegRPCContext) -> SerialisedMessage:  # noqa: N802, D102
        return await self._calls.answer(_SCORE, request, grpc_context)

    async def GetCapabilities(self, request: bytes, grpc_context: RayServegRPCContext) -> SerialisedMessage:  # noqa: N802, D102
        return await self._calls.answer(_CAPABILITIES, request, grpc_context)

    async def Check(self, request: bytes, grpc_context: RayServegRPCContext) -> SerialisedMessage:  # noqa: N802, D102
        return await self._calls.answer(_CHECK, request, grpc_context)

    async def List(self, request: bytes, grpc_context: RayServegRPCContext) -> SerialisedMessage:  # noqa: N802, D102
        return await self._calls.answer(_LIST, request, grpc_context)

    def record_replica_metadata(self) -> dict[str, Any]:
        """Told to the router once: the key by which calls name this replica."""
        return {KEY_FIELD: replica_key(self._settings.replica)}

    def record_routing_stats(self) -> dict[str, Any]:
        """Told to the router again and again: whether the engine takes jobs."""
        return {SERVING_FIELD: self._core.is_serving}

    def check_health(self) -> None:
        """Raises ``EngineGone`` where only a new replica helps. An engine that restarts itself stays."""
        if not self._core.is_serving and self._settings.engine_process == "server":
            raise EngineGone("the engine has lost its GPU")

    async def __del__(self) -> None:
        if self._targets is not None:
            self._targets.remove()
        self._core.end_calls()
        if self._endpoint is not None:
            self._endpoint.close()
        await self._core.close()


def _handlers(core: ServerCore) -> dict[str, grpc.RpcMethodHandler[Any, Any]]:
    table: Any = HandlerTable()
    service_pb2_grpc.add_StillcueServiceServicer_to_server(core.servicer, table)
    health_pb2_grpc.add_HealthServicer_to_server(core.health, table)
    by_method: dict[str, grpc.RpcMethodHandler[Any, Any]] = table.by_method
    return by_method
