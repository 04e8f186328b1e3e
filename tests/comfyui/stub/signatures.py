"""Signatures of nodes: equal ones have equal outputs, so that a node runs once."""

from __future__ import annotations

import json
from typing import Any

from . import registry
from .validation import Graph, is_link


def signatures_of(graph: Graph) -> dict[str, str]:
    """Returns the signature of every node: its class, inputs, IS_CHANGED, and the signatures before it."""
    known: dict[str, str] = {}

    def signature(node_id: str) -> str:
        if node_id not in known:
            node = graph[node_id]
            kind = registry.NODE_CLASS_MAPPINGS[node["class_type"]]
            inputs = {
                name: [signature(value[0]), value[1]] if is_link(value) else value
                for name, value in node["inputs"].items()
            }
            own_id = node_id if "UNIQUE_ID" in hidden_of(kind).values() else ""
            parts = [node["class_type"], _fingerprint(node_id, node, kind), own_id, inputs]
            known[node_id] = json.dumps(parts, sort_keys=True)
        return known[node_id]

    for node_id in graph:
        signature(node_id)
    return known


def hidden_of(kind: type[Any]) -> dict[str, str]:
    """Returns the hidden inputs of a node: name to what they hold."""
    hidden: dict[str, str] = kind.INPUT_TYPES().get("hidden", {})
    return hidden


def _fingerprint(node_id: str, node: dict[str, Any], kind: type[Any]) -> Any:
    """What IS_CHANGED returns for the constants of a node; it does not see the graph."""
    if not hasattr(kind, "IS_CHANGED"):
        return False
    constants = {name: None if is_link(value) else value for name, value in node["inputs"].items()}
    hidden = {name: {"UNIQUE_ID": node_id, "PROMPT": {}}[what] for name, what in hidden_of(kind).items()}
    return kind.IS_CHANGED(**constants, **hidden)
