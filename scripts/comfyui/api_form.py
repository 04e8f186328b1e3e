"""The API format of a workflow: class names and inputs, as POST /prompt takes them. Notes are no part of it."""

from __future__ import annotations

from typing import Any

from scripts.comfyui.graph import Link, Node, Workflow, default_value, definition_of


def api_form(workflow: Workflow) -> dict[str, Any]:
    """The format that POST /prompt takes."""
    return {
        str(workflow.number_of(node.key)): {
            "inputs": _api_inputs(workflow, node),
            "class_type": node.type,
            "_meta": {"title": node.title or definition_of(node).display_name},
        }
        for node in workflow.nodes
    }


def _api_inputs(workflow: Workflow, node: Node) -> dict[str, Any]:
    inputs: dict[str, Any] = {}
    for known in definition_of(node).inputs:
        value = node.values.get(known.name, default_value(known))
        if isinstance(value, Link):
            inputs[known.name] = [str(workflow.number_of(value.key)), workflow.slot_of(value)]
        elif known.has_widget:
            inputs[known.name] = value
    return inputs
