"""Checks a graph before it is queued, as POST /prompt does."""

from __future__ import annotations

import inspect
from typing import Any

from . import registry

Graph = dict[str, dict[str, Any]]
Problem = dict[str, Any]


def validate(graph: Graph) -> tuple[list[str], dict[str, Any] | None, dict[str, Any]]:
    """Returns the output nodes that can run, the error if none can, and the errors by node."""
    outputs = []
    for node_id, node in graph.items():
        kind = registry.NODE_CLASS_MAPPINGS.get(node.get("class_type", ""))
        if kind is None:
            message = f"Cannot execute because node {node.get('class_type')} does not exist."
            return [], _problem("invalid_prompt", message, f"Node ID '#{node_id}'"), {}
        if getattr(kind, "OUTPUT_NODE", False):
            outputs.append(node_id)
    if not outputs:
        return [], _problem("prompt_no_outputs", "Prompt has no outputs", ""), {}
    errors: dict[str, list[Problem]] = {}
    good = [node_id for node_id in outputs if _validate_node(graph, node_id, errors)]
    node_errors = {
        node_id: {"errors": found, "dependent_outputs": [], "class_type": graph[node_id]["class_type"]}
        for node_id, found in errors.items()
        if found
    }
    if good:
        return good, None, node_errors
    return [], _problem("prompt_outputs_failed_validation", "Prompt outputs failed validation", ""), node_errors


def is_link(value: Any) -> bool:
    """Returns True for [node id, slot]."""
    return isinstance(value, list) and len(value) == 2 and isinstance(value[0], str)


def input_specs(kind: type[Any]) -> dict[str, Any]:
    """Returns the specification of every required and optional input."""
    types = kind.INPUT_TYPES()
    return {**types.get("required", {}), **types.get("optional", {})}


def _validate_node(graph: Graph, node_id: str, errors: dict[str, list[Problem]]) -> bool:
    """Checks a node and all before it; fills ``errors``."""
    node = graph[node_id]
    kind = registry.NODE_CLASS_MAPPINGS[node["class_type"]]
    inputs, specs = node["inputs"], input_specs(kind)
    found: list[Problem] = []
    is_good = True
    own_checks = _arguments_of(getattr(kind, "VALIDATE_INPUTS", None))
    found += [_problem("unknown_input", "Unknown input", name) for name in sorted(inputs.keys() - specs.keys())]
    missing = sorted(kind.INPUT_TYPES().get("required", {}).keys() - inputs.keys())
    found += [_problem("required_input_missing", "Required input is missing", name) for name in missing]
    for name in specs.keys() & inputs.keys():
        value = inputs[name]
        if is_link(value):
            found += _check_link(graph, name, value, specs[name][0])
            if value[0] in graph and value[0] not in errors:
                is_good &= _validate_node(graph, value[0], errors)
            elif errors.get(value[0]):
                is_good = False
        else:
            found += _check_value(inputs, name, specs[name], has_own_check=name in own_checks)
    if not found and own_checks:
        given = {name: None if is_link(inputs[name]) else inputs[name] for name in own_checks if name in inputs}
        answer = kind.VALIDATE_INPUTS(**given)
        if answer is not True:
            found.append(_problem("custom_validation_failed", "Custom validation failed for node", str(answer)))
    errors[node_id] = found
    return is_good and not found


def _check_link(graph: Graph, name: str, value: list[Any], wanted: Any) -> list[Problem]:
    if value[0] not in graph:
        return [_problem("bad_linked_input", "Bad linked input", name)]
    types = registry.NODE_CLASS_MAPPINGS[graph[value[0]]["class_type"]].RETURN_TYPES
    if not 0 <= value[1] < len(types):
        return [_problem("bad_linked_input", "Bad linked input", f"{name}: slot {value[1]} of {len(types)}")]
    received = types[value[1]]
    # A COMBO is a list of choices; a link of text may feed it. A type may match everything by its own ``!=``.
    if isinstance(wanted, list) or not wanted != received or received == "*":  # noqa: SIM202
        return []
    details = f"{name}, received_type({received}) mismatch input_type({wanted})"
    return [_problem("return_type_mismatch", "Return type mismatch between linked nodes", details)]


def _check_value(inputs: dict[str, Any], name: str, spec: Any, *, has_own_check: bool) -> list[Problem]:
    kind, options = spec[0], spec[1] if len(spec) > 1 else {}
    convert = {"INT": int, "FLOAT": float, "STRING": str, "BOOLEAN": bool}.get(kind if isinstance(kind, str) else "")
    if convert is not None:
        try:
            inputs[name] = convert(inputs[name])
        except (TypeError, ValueError) as error:
            message = f"Failed to convert an input value to a {kind} value"
            return [_problem("invalid_input_type", message, f"{name}, {inputs[name]}, {error}")]
    elif not isinstance(kind, list):
        return [_problem("bad_linked_input", f"An input of type {kind} must be a link", name)]
    value = inputs[name]
    if has_own_check:
        return []
    if "min" in options and value < options["min"]:
        return [_problem("value_smaller_than_min", f"Value {value} smaller than min of {options['min']}", name)]
    if "max" in options and value > options["max"]:
        return [_problem("value_bigger_than_max", f"Value {value} bigger than max of {options['max']}", name)]
    if isinstance(kind, list) and value not in kind:
        return [_problem("value_not_in_list", "Value not in list", f"{name}: '{value}' not in {kind}")]
    return []


def _arguments_of(check: Any) -> list[str]:
    return [] if check is None else [name for name in inspect.getfullargspec(check).args if name != "cls"]


def _problem(kind: str, message: str, details: str) -> Problem:
    return {"type": kind, "message": message, "details": details, "extra_info": {}}
