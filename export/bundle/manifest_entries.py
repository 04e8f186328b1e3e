"""What an export says of what it wrote: a graph's entry in the manifest, a tokenizer's file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from engine.api.capabilities import Geometry
from engine.bundle.graph_spec import GraphName, GraphSpec, Precision
from export.bundle.graph_list import Place
from export.tracing.verify import Verified


def graph_spec(stage: GraphName, place: Place, file: Path, precision: Precision, verified: Verified) -> GraphSpec:
    """The entry of a graph that lies in the bundle's folder."""
    size = (place.width_px, place.height_px) if isinstance(place, Geometry) else place or (None, None)
    return GraphSpec(
        stage=stage,
        file=file.name,
        width_px=size[0],
        height_px=size[1],
        frame_count=place.frame_count if isinstance(place, Geometry) else None,
        precision=precision,
        inputs=verified.inputs,
        outputs=verified.outputs,
        max_abs_error=verified.max_abs_error,
        max_abs_value=verified.max_abs_value,
    )


def save_tokenizer(tokenizer: Any, file: Path) -> None:
    """Writes a tokenizer in the format of the ``tokenizers`` library, atomically."""
    partial = file.with_suffix(".partial")
    partial.write_text(tokenizer.backend_tokenizer.to_str(pretty=True), encoding="utf-8")
    partial.replace(file)
