"""Panels for the question "which replica is in trouble?"."""

from __future__ import annotations

from deploy.grafana.dashboard import Question
from deploy.grafana.fleet.expressions import FLEET, PROXY, increase
from deploy.grafana.panels import Lines, Query, Table

_FAULTS = 'grpc_service="stillcue.v1.StillcueService", grpc_code=~"INTERNAL|UNKNOWN|DATA_LOSS"'

REPLICAS = Question(
    "Which replica is in trouble?",
    (
        Table(
            "Replicas",
            "`stillcue_build_info`, `stillcue_serving`, `stillcue_draining`, `stillcue_running_jobs`, "
            "`stillcue_queue_jobs`: what each replica has loaded and does. A click on a row shows that server.",
            (
                Query(
                    f"max by (instance, pool, version, runtime, device, bundle_digest) (stillcue_build_info{{{FLEET}}})"
                ),
                Query(f"max by (instance) (stillcue_serving{{{FLEET}}})", "Serving"),
                Query(f"max by (instance) (stillcue_draining{{{FLEET}}})", "Draining"),
                Query(f"max by (instance) (stillcue_running_jobs{{{FLEET}}})", "Running"),
                Query(f"max by (instance) (stillcue_queue_jobs{{{FLEET}}})", "Waiting"),
            ),
            width=24,
        ),
        Lines(
            "Starts of servers, 1 h",
            "`process_start_time_seconds`: starts after the first. One at a roll-out is normal; more: "
            "StillcueRestarts in docs/operations.md.",
            (
                Query(
                    f'max by (instance) (changes(process_start_time_seconds{{job="stillcue", {FLEET}}}[1h]))',
                    "{{instance}}",
                ),
            ),
            opens_server=True,
        ),
        Lines(
            "Engines lost, 1 h",
            "`stillcue_worker_restarts_total`: StillcueEngineRestarts in docs/operations.md. Always the same replica: "
            "its GPU.",
            (
                Query(
                    increase("stillcue_worker_restarts_total", "instance, reason", window="1h"),
                    "{{instance}} {{reason}}",
                ),
            ),
            opens_server=True,
        ),
        Lines(
            "Calls failed by a replica, 1 h",
            "`grpc_server_handled_total`, with INTERNAL, UNKNOWN or DATA_LOSS: one replica far above the others is "
            "faulty: take it out of the proxy.",
            (Query(increase("grpc_server_handled_total", "instance", _FAULTS, "1h"), "{{instance}}"),),
            opens_server=True,
        ),
        Lines(
            "Replicas that the proxy sends jobs to",
            "`haproxy_backend_active_servers`, `stillcue_serving`: fewer at the proxy than serve: the proxy's "
            "health checks fail, or its list of servers is old.",
            (
                Query(f"max by (pool) (haproxy_backend_active_servers{{{PROXY}}})", "{{pool}} at HAProxy"),
                Query(f"sum by (pool) (stillcue_serving{{{FLEET}}})", "{{pool}} serving"),
            ),
            width=12,
        ),
        Lines(
            "Versions and bundles",
            "`stillcue_build_info`: replicas by what they have loaded. Two lines of one pool outside a roll-out: "
            "StillcueReplicasDiffer in docs/operations.md.",
            (
                Query(
                    f"count by (pool, version, runtime, bundle_digest) (stillcue_build_info{{{FLEET}}})",
                    "{{pool}} {{version}} {{runtime}} {{bundle_digest}}",
                ),
            ),
            width=12,
        ),
    ),
)
