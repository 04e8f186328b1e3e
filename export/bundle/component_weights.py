"""Weights of a component as its graphs will read them: in place, copied, or in another precision.

Knows shards, precisions and the bundle's folder; knows no graph. A checkpoint that lies inside the bundle's folder is
pointed at where it is, because ONNX Runtime refuses external data outside the graph's folder; any other is written
there, tensor after tensor.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import nn

from export.quantise.calibration import Calibration
from export.quantise.encodings import Encoding, Kept
from export.quantise.progress import progress_lines
from export.quantise.recipes import Recipe
from export.quantise.stored import QuantisedWeight, QuantisedWeights
from export.quantise.writer import encoded_byte_count, write_tensors
from export.weights.lora import Adapter, FusedWeights
from export.weights.parameters import check_weights, stored_parameters
from export.weights.shards import Shards, StoredWeight, WeightSource

WEIGHTS_FOLDER = "weights"


@dataclass(frozen=True)
class Stock:
    """Where the weights of a component lie, in one precision. ``files`` are those that the bundle then holds."""

    stored: Mapping[str, StoredWeight]
    quantised: Mapping[str, QuantisedWeight]
    files: tuple[Path, ...]


@dataclass(frozen=True)
class StockPlan:
    """What has to be written for it: nothing where ``encodings`` is None."""

    source: WeightSource
    shards: Shards
    encodings: Mapping[str, Encoding] | None
    file: Path

    @property
    def byte_count(self) -> int:
        """Bytes that graphs will read."""
        return self.shards.byte_count if self.encodings is None else encoded_byte_count(self.source, self.encodings)

    @property
    def written_byte_count(self) -> int:
        """Bytes that are still to be written."""
        return 0 if self.encodings is None or self.file.is_file() else self.byte_count

    def write(self, report: Callable[[str], None]) -> None:
        """Writes the file. Raises ``ExportError``."""
        if self.encodings is not None:
            write_tensors(self.source, self.encodings, self.file, progress_lines(self.file.name, report))

    def open(self) -> Stock:
        """The weights, once they are written."""
        if self.encodings is None:
            return Stock(self.shards.weights, {}, self.shards.files)
        written = QuantisedWeights.open(self.file)
        # What is quantised is replaced in the graph afterwards; until then it has the shape that it is traced with.
        traced = {
            name: dataclasses.replace(written.shards.weight(name), shape=self.source.shape(name))
            for name in written.quantised
        }
        return Stock({**written.shards.weights, **traced}, written.quantised, (self.file,))


def plan_stock(
    folder: Path,
    name: str,
    model: nn.Module,
    out: Path,
    *,
    adapters: Sequence[Adapter] = (),
    recipe: Recipe | None = None,
    calibration: Calibration | None = None,
) -> StockPlan:
    """Decides for the component in ``folder``; ``model`` is it in the recipe's type, without weights.

    Without a recipe it is float32. What the recipe does not quantise is stored in the type that is traced. Raises
    ``ExportError`` where weights are missing, damaged, or not those of the configuration.
    """
    precision = "fp32" if recipe is None else recipe.precision
    shards = Shards.open(folder)
    check_weights(model, shards)
    source: WeightSource = FusedWeights(shards, adapters) if adapters else shards
    quantised = {} if recipe is None else _quantised(recipe, source, calibration)
    parameters = stored_parameters(model, shards.names())
    suffix = "" if precision == "fp32" else f".{precision}"
    file = out / WEIGHTS_FOLDER / f"{name}{suffix}.safetensors"
    # A graph in float32 reads what is stored in less with a Cast, so there is nothing to convert.
    is_stored_so = all(shards.dtype(key) == tensor.dtype for key, tensor in parameters.items())
    is_ready = precision == "fp32" or (is_stored_so and not quantised and not adapters)
    if is_ready and not adapters and folder.resolve().is_relative_to(out.resolve()):
        return StockPlan(shards, _inside(shards, out), None, file)
    encodings = {
        key: quantised.get(key) or Kept(source.dtype(key) if is_ready else tensor.dtype)
        for key, tensor in parameters.items()
    }
    return StockPlan(source, shards, encodings, file)


def _quantised(recipe: Recipe, source: WeightSource, calibration: Calibration | None) -> dict[str, Encoding]:
    encodings = recipe.encodings(source, calibration)
    return {name: encoding for name, encoding in encodings.items() if not isinstance(encoding, Kept)}


def _inside(shards: Shards, out: Path) -> Shards:
    """The same shards by paths that begin with the bundle's folder, links resolved."""
    return Shards(
        str(out),
        {
            name: dataclasses.replace(weight, file=out / weight.file.resolve().relative_to(out.resolve()))
            for name, weight in shards.weights.items()
        },
    )
