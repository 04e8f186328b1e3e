"""One description of a workflow, from which both of ComfyUI's formats are made, so that they cannot differ.

``interface_form`` makes the format that the front end loads and saves, ``api_form`` the one that POST /prompt takes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from scripts.comfyui.definitions import Definition, Input, core_definitions, pack_definitions


@dataclass(frozen=True)
class Link:
    """The output of another node of the workflow, by the key of the node and the name of the output."""

    key: str
    output: str


@dataclass(frozen=True)
class Node:
    """A node: ``values`` holds a value or a ``Link`` for each input that has not its default. Places are in pixels."""

    key: str
    type: str
    x: int
    y: int
    width: int
    height: int
    values: dict[str, Any] = field(default_factory=dict)
    title: str = ""


@dataclass(frozen=True)
class Note:
    """A note in Markdown."""

    title: str
    text: str
    x: int
    y: int
    width: int
    height: int


@dataclass(frozen=True)
class Group:
    """A titled frame around nodes."""

    title: str
    x: int
    y: int
    width: int
    height: int
    colour: str = "#3f789e"


@dataclass(frozen=True)
class Workflow:
    """Nodes come in an order of execution: each after those that it is linked to. ``name`` is that of the files."""

    name: str
    nodes: tuple[Node, ...]
    notes: tuple[Note, ...]
    groups: tuple[Group, ...]

    def number_of(self, key: str) -> int:
        """The id of a node in the files, from 1."""
        return [node.key for node in self.nodes].index(key) + 1

    def node(self, key: str) -> Node:
        """The node of a key."""
        return self.nodes[self.number_of(key) - 1]

    def slot_of(self, link: Link) -> int:
        """The index of the output that a link begins at."""
        return definition_of(self.node(link.key)).output_slot(link.output)


def definition_of(node: Node) -> Definition:
    """What ComfyUI lists for the type of a node."""
    return pack_definitions().get(node.type) or core_definitions()[node.type]


def default_value(known: Input) -> Any:
    """The value of a field that the description leaves out."""
    if "default" in known.options:
        return known.options["default"]
    if known.choices:
        return known.choices[0]
    return "" if known.type in {"STRING", "COMBO"} else None
