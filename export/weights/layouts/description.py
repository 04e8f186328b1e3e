"""What the plan of an export says of its checkpoint: the files of each component, and what the family supplied."""

from __future__ import annotations

from collections.abc import Iterator

from export.weights.checkpoint import Checkpoint
from export.weights.component_files import OpenComponent


def describe(checkpoint: Checkpoint) -> Iterator[str]:
    """Lines for the plan: each component with its path, layout and form; assumed settings; warnings. Reads headers."""
    yield f"{checkpoint.name}: {checkpoint.family.value}"
    for name, part in checkpoint.components.items():
        yield f"{name:16} {part.path}: {_form(part.open())}"
    yield f"{'tokenizer':16} {checkpoint.tokenizer_path or 'from the file of the text encoder'}"
    yield from checkpoint.assumed
    yield from checkpoint.warnings


def _form(opened: OpenComponent) -> str:
    below = f" below {opened.names.prefix.rstrip('.')!r}" if opened.names.prefix else ""
    return f"{opened.names.layout} names{below}, {opened.form}"
