"""Generate jobs: queue, state, event log, registry."""
