"""The interface format of a workflow: placed nodes, links, notes and groups, as the front end loads and saves them."""

from __future__ import annotations

import uuid
from typing import Any

from scripts.comfyui.definitions import Input
from scripts.comfyui.graph import Group, Link, Node, Note, Workflow, default_value, definition_of

_NOTE = "MarkdownNote"
_NOTE_COLOURS = {"color": "#432", "bgcolor": "#653"}
_OPTIONAL_SHAPE = 7  # The front end draws optional inputs as hollow circles.
_CONTROL = "fixed"
_FORMAT_VERSION = 0.4
_FIRST_VIEW_SCALE = 0.7  # Below 0.6 the front end draws no text.
_FIRST_VIEW_MARGIN_PX = 120


def interface_form(workflow: Workflow) -> dict[str, Any]:
    """The format that the front end loads and saves."""
    links = _links(workflow)
    nodes = [_interface_node(workflow, node, links) for node in workflow.nodes]
    first_note = len(nodes) + 1
    nodes += [_interface_note(note, first_note + index) for index, note in enumerate(workflow.notes)]
    return {
        "id": str(uuid.uuid5(uuid.NAMESPACE_URL, f"stillcue/{workflow.name}")),
        "revision": 0,
        "last_node_id": len(nodes),
        "last_link_id": len(links),
        "nodes": nodes,
        "links": links,
        "groups": [_interface_group(group, index) for index, group in enumerate(workflow.groups, 1)],
        "config": {},
        "extra": {"ds": {"scale": _FIRST_VIEW_SCALE, "offset": [_FIRST_VIEW_MARGIN_PX, _FIRST_VIEW_MARGIN_PX]}},
        "version": _FORMAT_VERSION,
    }


# Each link as the interface format has it: id, from node, from output, to node, to input, type.
def _links(workflow: Workflow) -> list[list[Any]]:
    links: list[list[Any]] = []
    for node in workflow.nodes:
        for slot, known in enumerate(_shown_inputs(node)):
            value = node.values.get(known.name)
            if isinstance(value, Link):
                origin = workflow.slot_of(value)
                kind = definition_of(workflow.node(value.key)).outputs[origin].type
                ends = [workflow.number_of(value.key), origin, workflow.number_of(node.key), slot]
                links.append([len(links) + 1, *ends, kind])
    return links


# The front end saves inputs with a field only where they are linked.
def _shown_inputs(node: Node) -> list[Input]:
    inputs = definition_of(node).inputs
    bare = [known for known in inputs if not known.has_widget]
    return bare + [known for known in inputs if known.has_widget and isinstance(node.values.get(known.name), Link)]


def _interface_node(workflow: Workflow, node: Node, links: list[list[Any]]) -> dict[str, Any]:
    number = workflow.number_of(node.key)
    definition = definition_of(node)
    unknown = set(node.values) - {known.name for known in definition.inputs}
    if unknown:
        raise KeyError(f"{node.type} has no input {', '.join(sorted(unknown))}")
    inputs = [
        {
            "name": known.name,
            **({} if known.is_required else {"shape": _OPTIONAL_SHAPE}),
            "type": known.type,
            **({"widget": {"name": known.name}} if known.has_widget else {}),
            "link": next((link[0] for link in links if link[3:5] == [number, slot]), None),
        }
        for slot, known in enumerate(_shown_inputs(node))
    ]
    outputs = [
        {
            "name": output.name,
            "type": output.type,
            "links": [link[0] for link in links if link[1:3] == [number, slot]] or None,
        }
        for slot, output in enumerate(definition.outputs)
    ]
    return {
        **_place(number, node.type, node),
        "inputs": inputs,
        "outputs": outputs,
        **({"title": node.title} if node.title else {}),
        "properties": {"Node name for S&R": node.type},
        "widgets_values": _widget_values(node),
    }


def _widget_values(node: Node) -> list[Any]:
    values: list[Any] = []
    for known in definition_of(node).inputs:
        if known.has_widget:
            value = node.values.get(known.name, default_value(known))
            values.append(default_value(known) if isinstance(value, Link) else value)
            values += [_CONTROL] if known.has_control else []
    return [*values, "image"] if node.type == "LoadImage" else values  # the button for uploads has a value too


def _interface_note(note: Note, number: int) -> dict[str, Any]:
    return {
        **_place(number, _NOTE, note),
        "inputs": [],
        "outputs": [],
        "title": note.title,
        "properties": {},
        "widgets_values": [note.text],
        **_NOTE_COLOURS,
    }


def _place(number: int, kind: str, box: Node | Note) -> dict[str, Any]:
    return {
        "id": number,
        "type": kind,
        "pos": [box.x, box.y],
        "size": [box.width, box.height],
        "flags": {},
        "order": number - 1,
        "mode": 0,
    }


def _interface_group(group: Group, number: int) -> dict[str, Any]:
    return {
        "id": number,
        "title": group.title,
        "bounding": [group.x, group.y, group.width, group.height],
        "color": group.colour,
        "font_size": 24,
        "flags": {},
    }
