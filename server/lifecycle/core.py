"""A server without its ports: engine, readiness, health, metrics and the answers to calls.

``lifecycle.server`` adds gRPC ports; a host that has ports of its own, such as Ray Serve, passes calls to ``servicer``
and ``health`` through ``interceptor``.

Open: the engine opens on its thread, then health says SERVING.
Drain: health NOT_SERVING, new calls refused, waiting jobs and jobs without a reader ended; the running job finishes
within the grace.
Close: the running job ended, the engine closed on its thread; an engine process that does not end is killed.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from engine import find_video_support
from server.lifecycle.engine_watch import EngineWatch
from server.lifecycle.watched_engine import WatchedEngine
from server.observability.gpus import nvml_gpus
from server.observability.metrics import Method, Metrics
from server.observability.tracing import open_tracing
from server.rpc import health
from server.rpc.context import ServerContext
from server.rpc.interceptors import CallInterceptor
from server.rpc.servicer import StillcueServicer
from server.runtime.engine_thread import EngineThread
from server.runtime.readiness import ReadinessGate
from server.security.guard import Guard
from server.security.quotas import Quotas
from stillcue.v1 import service_pb2

if TYPE_CHECKING:
    from collections.abc import Callable

    from engine.api.engine import Engine
    from server.observability.gpus import Gpu
    from server.observability.spans import Tracing
    from server.settings import Settings

_logger = logging.getLogger(__name__)

_SERVICE = service_pb2.DESCRIPTOR.services_by_name["StillcueService"]
SERVICE_NAME: str = _SERVICE.full_name
_ENGINE_STOP_SECONDS = 1.0


class ServerCore:
    """Constructed and used inside a running event loop."""

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
        self.metrics = Metrics()
        self.metrics.expect_calls(_methods())
        self.health = health.Health(SERVICE_NAME)
        self._settings = settings
        self._open_engine = open_engine
        self._find_gpus = find_gpus
        self._gate: ReadinessGate[ServerContext] = ReadinessGate()
        self._context: ServerContext | None = None
        self._is_draining = False
        self._engine_thread = EngineThread()
        self._quotas = Quotas()
        self._tracing = open_tracing(settings.otlp_endpoint) if tracing is None else tracing
        self._guard = Guard.build(settings, self._quotas, health.SERVICE_NAME)
        self.servicer = StillcueServicer(self._gate, self.metrics, settings, self._tracing)

    @property
    def is_serving(self) -> bool:
        """Health says SERVING."""
        return self.health.is_serving

    def interceptor(self, *, is_guarded: bool = True) -> CallInterceptor:
        """The interceptor of every call. ``is_guarded`` False: of a port with the health service alone."""
        return CallInterceptor(self.metrics, self._guard if is_guarded else None, health.SERVICE_NAME)

    async def open(self) -> None:
        """Opens the engine and accepts calls. Raises what opening the engine raises; call ``close`` in each case."""
        opening = asyncio.wrap_future(self._engine_thread.submit(self._open_engine))
        searching = asyncio.to_thread(find_video_support, self._settings.video_encoders)
        engine, video_support = await asyncio.gather(opening, searching)
        if engine.supervision() is None:
            engine = WatchedEngine(engine, self._set_engine_running)
        self._context = ServerContext.build(
            engine,
            self._engine_thread,
            self._settings,
            self.metrics,
            self._quotas,
            video_support=video_support,
        )
        encoders = {codec.value: encoder for codec, encoder in video_support.encoders.items()}
        _logger.info("video encoders", extra={"fields": {"encoders": encoders, "absence": video_support.absence}})
        capabilities = self._context.capabilities
        device = {"device": capabilities.device, "gpu_uuid": capabilities.gpu_uuid, "runtime": capabilities.runtime}
        _logger.info("engine open", extra={"fields": device})
        self.metrics.describe_build(capabilities)
        self.metrics.watch_gpus(await asyncio.to_thread(self._find_gpus, capabilities.gpu_uuid))
        self._gate.open(self._context)
        self._set_serving(True)
        supervision = engine.supervision()
        if supervision is not None:
            EngineWatch(supervision, self.metrics, self._set_engine_running)

    async def drain(self, hurry: asyncio.Event) -> None:
        """Lets the running job finish within the grace; ``hurry`` ends the grace at once."""
        _logger.info("draining", extra={"fields": {"grace_seconds": self._settings.drain_grace_seconds}})
        self._is_draining = True
        self.metrics.is_draining.set(1)
        self._set_serving(False)
        self._gate.close()
        if self._context is not None:
            self._context.jobs.drain()
        waits = [asyncio.create_task(self._gate.wait_empty()), asyncio.create_task(hurry.wait())]
        await asyncio.wait(waits, timeout=self._settings.drain_grace_seconds, return_when=asyncio.FIRST_COMPLETED)
        for wait in waits:
            wait.cancel()

    def end_calls(self) -> None:
        """Refuses new calls, and ends every job and every watch of health."""
        self._gate.close()
        if self._context is not None:
            self._context.jobs.stop()
        self.health.finish()

    async def close(self) -> bool:
        """Closes the engine, after ``end_calls``. Returns False where a graph call still runs."""
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
        self.health.set_serving(is_serving)
        self.metrics.is_serving.set(is_serving)


def _methods() -> list[Method]:
    return [
        Method("server_stream" if method.server_streaming else "unary", SERVICE_NAME, method.name)
        for method in _SERVICE.methods
    ]
