"""The standard health service, grpc.health.v1.

The library's servicer keeps Watch streams open for ever, so that a server with a watcher never drains. Here the streams
end with UNAVAILABLE after the last status.

The status tells whether new jobs are accepted. Whoever restarts servers asks for the service name ``LIVENESS`` instead.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from grpc_health.v1 import health_pb2, health_pb2_grpc

from server.errors.refusals import ServerDraining, UnknownService

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from grpc.aio import ServicerContext

SERVICE_NAME: str = health_pb2.DESCRIPTOR.services_by_name["Health"].full_name
# SERVING whenever the event loop answers: a restart does not help a server that starts, drains or waits for its engine.
LIVENESS = "liveness"
_SERVING = health_pb2.HealthCheckResponse.SERVING
_NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
_SERVICE_UNKNOWN = health_pb2.HealthCheckResponse.SERVICE_UNKNOWN


class Health(health_pb2_grpc.HealthServicer):  # type: ignore[misc]  # the stubs of this package are untyped
    """One status for the server (service name "") and for each of ``services``; NOT_SERVING at first.

    The status of ``LIVENESS`` is always SERVING.
    """

    def __init__(self, *services: str) -> None:
        self._services = frozenset({"", LIVENESS, *services})
        self._is_serving = False
        self._is_finished = False
        self._changed = asyncio.Event()

    @property
    def is_serving(self) -> bool:
        """The status now is SERVING."""
        return self._is_serving

    def set_serving(self, is_serving: bool) -> None:
        """Changes the status, and sends it to every watcher."""
        self._is_serving = is_serving
        self._announce()

    def finish(self) -> None:
        """Ends every watch."""
        self._is_finished = True
        self._announce()

    async def Check(  # noqa: N802
        self,
        request: health_pb2.HealthCheckRequest,
        context: ServicerContext[Any, Any],  # noqa: ARG002
    ) -> health_pb2.HealthCheckResponse:
        """The status now; NOT_FOUND for a service that is not served here."""
        if request.service not in self._services:
            raise UnknownService
        return self._response(request.service)

    async def List(  # noqa: N802
        self,
        request: health_pb2.HealthListRequest,  # noqa: ARG002
        context: ServicerContext[Any, Any],  # noqa: ARG002
    ) -> health_pb2.HealthListResponse:
        """The status now of every service, and of the server."""
        return health_pb2.HealthListResponse(statuses={service: self._response(service) for service in self._services})

    async def Watch(  # noqa: N802
        self,
        request: health_pb2.HealthCheckRequest,
        context: ServicerContext[Any, Any],  # noqa: ARG002
    ) -> AsyncIterator[health_pb2.HealthCheckResponse]:
        """The status now and whenever it changes, until the server stops."""
        last: health_pb2.HealthCheckResponse | None = None
        while True:
            changed = self._changed
            response = self._response(request.service)
            if response != last:
                yield response
                last = response
            elif self._is_finished:
                raise ServerDraining
            else:
                await changed.wait()

    def _response(self, service: str) -> health_pb2.HealthCheckResponse:
        if service not in self._services:
            return health_pb2.HealthCheckResponse(status=_SERVICE_UNKNOWN)
        is_serving = self._is_serving or service == LIVENESS
        return health_pb2.HealthCheckResponse(status=_SERVING if is_serving else _NOT_SERVING)

    def _announce(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()
