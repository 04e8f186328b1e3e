"""Names and labels in PromQL, as far as the project's own expressions go. Knows no parser: promtool checks grammar."""

from __future__ import annotations

import re

from server.errors.rules import INTERNAL, RULES
from server.observability.metrics import COMPLETED, REASONS, Metrics

_MADE_BY_PROMETHEUS = {"up"}
_MATCHER = re.compile(r'(\w+)(=~|=)"([^"]*)"')
# Beside the labels of each metric: those of the target, and of histograms' buckets.
TARGET_LABELS = {"job", "instance", "le"}
# Values that can be checked, by label.
KNOWN_VALUES = {
    "outcome": {COMPLETED, *REASONS},
    "reason": set(REASONS),
    "grpc_code": {"OK", "UNKNOWN", "DATA_LOSS", *(rule.code.name for rule in [*RULES.values(), INTERNAL])},
    "grpc_method": {"Generate", "ScoreMatch", "GetCapabilities"},
    "grpc_service": {"stillcue.v1.StillcueService"},
    "job": {"stillcue"},
}


def series_names() -> set[str]:
    """Every series name that a server exports."""
    names: set[str] = set(_MADE_BY_PROMETHEUS)
    for row in Metrics().rows:
        suffixes = ("_bucket", "_sum", "_count") if row.kind == "histogram" else ("",)
        names |= {row.name + suffix for suffix in suffixes}
    return names


def labels_of_metrics() -> set[str]:
    """Every label that a server exports, and those of targets."""
    return {label for row in Metrics().rows for label in row.labels} | TARGET_LABELS


def selected(expression: str) -> set[str]:
    """The series names that an expression selects."""
    bare = re.sub(r'"[^"]*"', "", expression)
    return set(re.findall(r"\b(?:stillcue_\w+|grpc_server_\w+|process_\w+|up\b|(?:job|instance):[\w:]+)", bare))


def grouped_labels(expression: str) -> set[str]:
    """The labels of ``by (...)`` and ``on (...)``."""
    groups = re.findall(r"\b(?:by|on) ?\(([^)]*)\)", expression)
    return {label.strip() for group in groups for label in group.split(",")}


def unknown_values(expression: str) -> list[str]:
    """Matchers whose value no series can have."""
    return [
        f"{label}={value}"
        for label, _, values in _MATCHER.findall(expression)
        for value in values.split("|")
        if label in KNOWN_VALUES and value not in KNOWN_VALUES[label]
    ]
