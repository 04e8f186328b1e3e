"""Opens a file of ``writer``: the places of values and scales of each quantised weight. Reads headers only."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx_ir as ir
from safetensors import SafetensorError, safe_open

from export.errors import ExportError
from export.quantise.encodings import SCALE_SUFFIX, QuantisedFormat
from export.quantise.writer import METADATA_KEY
from export.weights.files.safetensors_file import StoredWeight
from export.weights.shards import Shards


@dataclass(frozen=True)
class QuantisedWeight:
    """A linear's weight, values [inputs, outputs], and its scales: [], [outputs] or [blocks, outputs].

    ``input_range`` is the largest absolute input that calibration measured; None: the input is not quantised.
    """

    format_name: QuantisedFormat
    values: StoredWeight
    scales: StoredWeight
    block_size: int | None
    input_range: float | None


class QuantisedWeights:
    """The weights in a file of ``write_tensors``: quantised ones by name, and ``shards`` for all tensors."""

    def __init__(self, shards: Shards, quantised: Mapping[str, QuantisedWeight]) -> None:
        self.shards = shards
        self.quantised = dict(quantised)

    @classmethod
    def open(cls, file: Path) -> QuantisedWeights:
        """Reads the header. Raises ``ExportError`` for a file that ``write_tensors`` did not write."""
        try:
            with safe_open(file, framework="pt") as opened:
                described = json.loads((opened.metadata() or {})[METADATA_KEY])
        except (OSError, SafetensorError, KeyError, ValueError) as error:
            raise ExportError(f"{file}: is not a file of quantised weights ({error}); export again") from error
        shards = Shards.of_file(file)
        return cls(shards, {name: _weight(shards, name, item) for name, item in described.items()})


def _weight(shards: Shards, name: str, item: dict[str, Any]) -> QuantisedWeight:
    values = shards.weight(name)
    if item["format"] == "int4":  # safetensors has no four-bit type; ONNX has one over the same bytes
        values = dataclasses.replace(values, dtype=ir.DataType.INT4, shape=tuple(item["shape"]))
    return QuantisedWeight(
        format_name=item["format"],
        values=values,
        scales=shards.weight(name + SCALE_SUFFIX),
        block_size=item.get("block_size"),
        input_range=item["input_range"],
    )
