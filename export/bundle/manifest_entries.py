"""The manifest entry of a graph, and the file of a tokenizer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from engine.api.capabilities import Geometry
from engine.bundle.graph_spec import GraphName, GraphSpec, Precision
from export.atomic_file import write_text
from export.bundle.graph_list import GraphSize
from export.tracing.assemble import GraphDescription


def graph_spec(
    name: GraphName, size: GraphSize, file: Path, precision: Precision, description: GraphDescription
) -> GraphSpec:
    """The entry of a graph in the bundle's folder."""
    sides = (size.width_px, size.height_px) if isinstance(size, Geometry) else size or (None, None)
    return GraphSpec(
        stage=name,
        file=file.name,
        width_px=sides[0],
        height_px=sides[1],
        frame_count=size.frame_count if isinstance(size, Geometry) else None,
        precision=precision,
        inputs=description.inputs,
        outputs=description.outputs,
        max_abs_error=description.max_abs_error,
        max_abs_value=description.max_abs_value,
    )


def save_tokenizer(tokenizer: Any, file: Path) -> None:
    """Writes a tokenizer in the format of the ``tokenizers`` library, atomically."""
    write_text(file, tokenizer.backend_tokenizer.to_str(pretty=True))
