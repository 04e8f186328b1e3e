"""What the plan of an export says of its checkpoint: the files of each component, and what the family supplied."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from export.weights.checkpoint import Checkpoint
from export.weights.component_files import OpenComponent
from export.weights.names.layout import Layout

_NAMES: Mapping[Layout, str] = {"diffusers": "Diffusers'", "official": "official", "gguf": "llama.cpp's"}


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
    names = "transformers'" if opened.names.kind == "text_encoder" and opened.names.layout == "diffusers" else None
    return f"{names or _NAMES[opened.names.layout]} names{below}, {opened.form}"
