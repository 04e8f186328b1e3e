"""Rows of the tables of ``docs/comfyui.md``: the inputs and outputs of each node of the pack."""

from __future__ import annotations

from scripts.comfyui.definitions import Definition, Input, pack_definitions

INPUT_HEADS = ("input", "type or choices", "default", "meaning")
OUTPUT_HEADS = ("output", "type", "meaning")
Rows = list[tuple[str, ...]]


def node_rows() -> list[tuple[str, str, Rows, Rows]]:
    """Title, description, rows of inputs and rows of outputs of each node."""
    return [
        (node.display_name, node.description, _input_rows(node), _output_rows(node))
        for node in pack_definitions().values()
    ]


def _input_rows(definition: Definition) -> Rows:
    """Name, type or choices, default and meaning of each input."""
    return [(f"`{known.name}`", _kind(known), _default(known), known.options["tooltip"]) for known in definition.inputs]


def _output_rows(definition: Definition) -> Rows:
    """Name, type and meaning of each output."""
    return [(f"`{output.name}`", output.type, output.tooltip) for output in definition.outputs]


def _kind(known: Input) -> str:
    kind = ", ".join(f"`{choice}`" for choice in known.choices) if known.choices else known.type
    return kind if known.is_required else f"{kind}, optional"


def _default(known: Input) -> str:
    default = known.options.get("default", "")
    return f"`{default}`" if default != "" else ""
