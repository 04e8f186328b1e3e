"""The Serve application: ``import_path: deploy.ray.application:build``.

``build`` sets what follows from the settings of the server; how many replicas there are, and what each of them gets, is
said in the Serve config (``deploy/ray/*.yaml``).
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from ray import serve
from ray.serve.config import RequestRouterConfig

from deploy.ray.replica import Replica
from deploy.ray.router import StillcueRouter
from deploy.ray.settings import FleetArgs, read_settings
from server.lifecycle.engine_factory import launch_engine

if TYPE_CHECKING:
    from ray.serve import Application, Deployment

    from server.settings import Settings

DEPLOYMENT_NAME = "Stillcue"
# Calls that are no jobs (capabilities, scores, cancels, streams that are resumed) have room beside the jobs.
_OTHER_CALL_COUNT = 256
_HEALTH_PERIOD_SECONDS = 5.0
_STATS_PERIOD_SECONDS = 1.0


def build(args: dict[str, Any]) -> Application:
    """The application with ``args`` of the Serve config. Raises ``SettingInvalid``."""
    fleet = FleetArgs.read(args)
    return deployment(fleet, read_settings(os.environ)).bind(fleet, launch_engine)


def deployment(fleet: FleetArgs, settings: Settings) -> Deployment:
    """The deployment, to bind to the arguments of ``Replica``."""
    made: Deployment = serve.deployment(
        Replica,
        name=DEPLOYMENT_NAME,
        max_ongoing_requests=fleet.jobs_per_replica + settings.queue_capacity + _OTHER_CALL_COUNT,
        # Ray's own limit counts every call, cancels too; the router counts jobs, and refuses earlier.
        max_queued_requests=fleet.waiting_limit + _OTHER_CALL_COUNT,
        graceful_shutdown_timeout_s=settings.drain_grace_seconds,
        health_check_period_s=_HEALTH_PERIOD_SECONDS,
        request_router_config=RequestRouterConfig(
            request_router_class=StillcueRouter,
            request_router_kwargs={
                "jobs_per_replica": fleet.jobs_per_replica,
                "waiting_limit": fleet.waiting_limit,
            },
            request_routing_stats_period_s=_STATS_PERIOD_SECONDS,
        ),
    )
    return made
