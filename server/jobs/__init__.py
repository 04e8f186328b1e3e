"""Generate jobs. Imports neither gRPC nor protobuf nor metrics.

``service`` finds or admits a job, ``job`` is the life of one, ``state`` is the state machine. ``queue`` gives the
engine to one job at a time, and ``engine_run`` runs the job. ``stream`` and ``event_log`` hold its events for the
``readers``; ``registry`` finds the job again. Metrics, traces, quotas and estimates are a ``listener``.
"""
