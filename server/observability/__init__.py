"""Metrics, traces, logs and GPU readings of the server."""
