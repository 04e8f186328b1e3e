"""Rows of the tables of ``docs/comfyui.md``: the inputs and outputs of each node of the pack."""

from __future__ import annotations

from scripts.comfyui.definitions import Definition, Input


def input_rows(definition: Definition) -> list[tuple[str, ...]]:
    """Name, type or choices, default and meaning of each input."""
    return [(f"`{known.name}`", _kind(known), _default(known), known.options["tooltip"]) for known in definition.inputs]


def output_rows(definition: Definition) -> list[tuple[str, ...]]:
    """Name, type and meaning of each output."""
    return [(f"`{output.name}`", output.type, output.tooltip) for output in definition.outputs]


def _kind(known: Input) -> str:
    kind = ", ".join(f"`{choice}`" for choice in known.choices) if known.choices else known.type
    return kind if known.is_required else f"{kind}, optional"


def _default(known: Input) -> str:
    default = known.options.get("default", "")
    return f"`{default}`" if default != "" else ""
