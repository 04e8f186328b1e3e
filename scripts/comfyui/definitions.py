"""Reads the inputs and outputs of ComfyUI nodes: the pack's from its code, the core's from a recorded table.

The table ``core_nodes.json`` holds names and types only. ``python -m scripts.comfyui.definitions URL`` records it from
a running ComfyUI, and ``make comfyui`` compares it with the real one.
"""

from __future__ import annotations

import importlib
import json
import sys
import types
import urllib.request
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

PACK = Path(__file__).parents[2] / "clients" / "comfyui"
CORE_NODES = ("LoadImage", "PreviewAny", "PreviewImage", "PrimitiveStringMultiline", "SaveVideo")
_CORE_TABLE = Path(__file__).with_name("core_nodes.json")
_PACKAGE = "stillcue_comfyui_definitions"
_WIDGET_TYPES = {"BOOLEAN", "COMBO", "FLOAT", "INT", "STRING"}


@dataclass(frozen=True)
class Input:
    """An input of a node; ``options`` are those of ``INPUT_TYPES``, ``choices`` those of a COMBO."""

    name: str
    type: str
    is_required: bool
    options: dict[str, Any]
    choices: tuple[str, ...] = ()

    @property
    def has_widget(self) -> bool:
        """True if the node itself shows a field for the value."""
        return self.type in _WIDGET_TYPES and not self.options.get("forceInput")

    @property
    def has_control(self) -> bool:
        """True if the front end adds a second widget that changes the value after each run."""
        return bool(self.options.get("control_after_generate"))


@dataclass(frozen=True)
class Output:
    """An output of a node."""

    name: str
    type: str
    tooltip: str = ""


@dataclass(frozen=True)
class Definition:
    """A node as ComfyUI lists it."""

    node_id: str
    display_name: str
    description: str
    category: str
    inputs: tuple[Input, ...]
    outputs: tuple[Output, ...]

    def input(self, name: str) -> Input:
        """The input of a name. Raises ``KeyError`` with the names that there are."""
        for known in self.inputs:
            if known.name == name:
                return known
        raise KeyError(f"{self.node_id} has no input {name}, only {', '.join(known.name for known in self.inputs)}")

    def output_slot(self, name: str) -> int:
        """The index of the output of a name. Raises ``KeyError`` with the names that there are."""
        names = [known.name for known in self.outputs]
        if name not in names:
            raise KeyError(f"{self.node_id} has no output {name}, only {', '.join(names)}")
        return names.index(name)


@cache
def pack_definitions() -> dict[str, Definition]:
    """The pack's nodes, by id, in the order of the pack. Imports neither ComfyUI nor the pack's start-up code."""
    nodes = _pack_module("nodes")
    return {
        node_id: _from_class(node_id, node_class, nodes.NODE_DISPLAY_NAME_MAPPINGS[node_id])
        for node_id, node_class in nodes.NODE_CLASS_MAPPINGS.items()
    }


@cache
def core_definitions() -> dict[str, Definition]:
    """The core nodes of the example workflows, from the recorded table."""
    table = json.loads(_CORE_TABLE.read_text(encoding="utf-8"))
    return {node_id: _from_recorded(node_id, row) for node_id, row in table.items()}


def recorded(info: dict[str, Any]) -> dict[str, Any]:
    """The part of an entry of /object_info that the table keeps: names and types in order."""
    sections = info["input"]
    inputs = {
        name: [_type_of(spec[0]), section == "required"]
        for section in ("required", "optional")
        for name, spec in sections.get(section, {}).items()
    }
    outputs = [list(pair) for pair in zip(info["output_name"], info["output"], strict=True)]
    return {"display_name": info["display_name"], "inputs": inputs, "outputs": outputs}


def _from_class(node_id: str, node_class: Any, display_name: str) -> Definition:
    sections = node_class.INPUT_TYPES()
    inputs = tuple(
        _input(name, spec, is_required=section == "required")
        for section in ("required", "optional")
        for name, spec in sections.get(section, {}).items()
    )
    rows = zip(node_class.RETURN_NAMES, node_class.RETURN_TYPES, node_class.OUTPUT_TOOLTIPS, strict=True)
    outputs = tuple(Output(*row) for row in rows)
    return Definition(node_id, display_name, node_class.DESCRIPTION, node_class.CATEGORY, inputs, outputs)


def _from_recorded(node_id: str, row: dict[str, Any]) -> Definition:
    inputs = tuple(Input(name, kind, required, {}) for name, (kind, required) in row["inputs"].items())
    return Definition(node_id, row["display_name"], "", "", inputs, tuple(Output(*pair) for pair in row["outputs"]))


def _input(name: str, spec: tuple[Any, ...], *, is_required: bool) -> Input:
    options = dict(spec[1]) if len(spec) > 1 else {}
    choices = spec[0] if isinstance(spec[0], list) else options.get("options", ())
    return Input(name, _type_of(spec[0]), is_required, options, tuple(choices))


def _type_of(kind: object) -> str:
    return "COMBO" if isinstance(kind, list) else str(kind)


def _pack_module(name: str) -> types.ModuleType:
    """A module of the pack. The pack's own ``__init__`` registers routes in ComfyUI, so it is not run."""
    if _PACKAGE not in sys.modules:
        package = types.ModuleType(_PACKAGE)
        package.__path__ = [str(PACK)]
        sys.modules[_PACKAGE] = package
    return importlib.import_module(f"{_PACKAGE}.{name}")


def main() -> None:
    """Records the core nodes of the ComfyUI at the address that is given."""
    with urllib.request.urlopen(f"{sys.argv[1]}/object_info") as response:
        info = json.load(response)
    table = {node_id: recorded(info[node_id]) for node_id in CORE_NODES}
    rows = ",\n".join(f"  {json.dumps(node_id)}: {json.dumps(row)}" for node_id, row in table.items())
    _CORE_TABLE.write_text(f"{{\n{rows}\n}}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
