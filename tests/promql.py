"""Extracts metric names and labels from the project's PromQL expressions. Promtool checks the grammar."""

from __future__ import annotations

import re

from server.errors.rules import INTERNAL, RULES
from server.observability.metrics import COMPLETED, REASONS, Metrics

_MADE_BY_PROMETHEUS = {"up"}
# Of HAProxy's exporter; tests/test_deploy_fleet.py asks a real one for them.
HAPROXY_SERIES = {
    "haproxy_backend_active_servers",
    "haproxy_backend_current_queue",
    "haproxy_backend_http_responses_total",
    "haproxy_backend_queue_time_average_seconds",
}
_MATCHER = re.compile(r'(\w+)(=~|=)"([^"]*)"')
# Labels beyond those of each metric: of the scrape target, of histogram buckets, and of HAProxy's backends.
TARGET_LABELS = {"job", "instance", "pool", "le", "proxy"}
# Known values by label, for labels whose values can be checked.
KNOWN_VALUES = {
    "outcome": {COMPLETED, *REASONS},
    "reason": set(REASONS),
    "grpc_code": {"OK", "UNKNOWN", "DATA_LOSS", *(rule.code.name for rule in [*RULES.values(), INTERNAL])},
    "grpc_method": {"Generate", "ScoreMatch", "GetCapabilities"},
    "grpc_service": {"stillcue.v1.StillcueService"},
    "job": {"stillcue", "haproxy"},
}


def series_names() -> set[str]:
    """Returns every series name that a server exports, and those of others that are asked for."""
    names: set[str] = _MADE_BY_PROMETHEUS | HAPROXY_SERIES
    for row in Metrics().rows:
        suffixes = ("_bucket", "_sum", "_count") if row.kind == "histogram" else ("",)
        names |= {row.name + suffix for suffix in suffixes}
    return names


def labels_of_metrics() -> set[str]:
    """Returns every label that a server exports, and those of scrape targets."""
    return {label for row in Metrics().rows for label in row.labels} | TARGET_LABELS


def selected(expression: str) -> set[str]:
    """Returns the series names that an expression selects."""
    bare = re.sub(r'"[^"]*"', "", expression)
    return set(
        re.findall(
            r"\b(?:stillcue_\w+|grpc_server_\w+|process_\w+|haproxy_\w+|up\b|(?:job|instance|pool):[\w:]+)", bare
        )
    )


def grouped_labels(expression: str) -> set[str]:
    """Returns the labels in ``by (...)`` and ``on (...)``."""
    groups = re.findall(r"\b(?:by|on) ?\(([^)]*)\)", expression)
    return {label.strip() for group in groups for label in group.split(",")}


def unknown_values(expression: str) -> list[str]:
    """Returns the matchers whose value no series can have."""
    return [
        f"{label}={value}"
        for label, _, values in _MATCHER.findall(expression)
        for value in values.split("|")
        if label in KNOWN_VALUES and not any(re.fullmatch(value, known) for known in KNOWN_VALUES[label])
    ]
