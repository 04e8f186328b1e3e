"""The weights of a component in the form that its graphs read: planned first, then written.

A checkpoint inside the bundle's folder is referenced in place where its precision fits. Any other is written there,
tensor after tensor, because ONNX Runtime refuses external data outside the graph's folder.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor, nn

from export.quantise.calibration import Calibration
from export.quantise.encodings import Encoding, PassThrough
from export.quantise.recipes import Recipe
from export.quantise.stored import QuantisedWeight, QuantisedWeights
from export.quantise.writer import encoded_byte_count, progress_lines, read_tensors, write_tensors
from export.weights.files.safetensors_file import StoredWeight
from export.weights.lora import Adapter, FusedWeights
from export.weights.parameters import check_weights, stored_parameters
from export.weights.shards import Shards, WeightSource

WEIGHTS_FOLDER = "weights"


@dataclass(frozen=True)
class ComponentWeights:
    """The stored weights of a component. ``files`` are the files of the bundle that hold them.

    ``stored`` has the shapes that are traced; ``quantised`` replaces some of them in the finished graph.
    """

    stored: Mapping[str, StoredWeight]
    quantised: Mapping[str, QuantisedWeight]
    files: tuple[Path, ...]


@dataclass(frozen=True)
class PlannedWeights:
    """The way of a component's weights into the bundle. ``encodings`` None: the shards are referenced in place.

    ``source`` gives the weights with adapters fused; ``file`` is written with the encodings.
    """

    source: WeightSource
    shards: Shards
    encodings: Mapping[str, Encoding] | None
    file: Path

    @property
    def byte_count(self) -> int:
        """Bytes that the graphs read."""
        return self.shards.byte_count if self.encodings is None else encoded_byte_count(self.source, self.encodings)

    @property
    def written_byte_count(self) -> int:
        """Bytes that are still to be written."""
        return 0 if self.encodings is None or self.file.is_file() else self.byte_count

    def write(self, report: Callable[[str], None]) -> None:
        """Writes the file; shards that are referenced in place are read once to check their values.

        Raises ``ExportError``, for values that are infinite or not a number too.
        """
        if self.encodings is None:
            self.read_all(report)
        else:
            write_tensors(self.source, self.encodings, self.file, progress_lines(self.file.name, report))

    def read_all(self, report: Callable[[str], None]) -> None:
        """Reads every weight once and writes nothing. Raises ``ExportError`` as ``write`` does."""
        read_tensors(self.source, progress_lines(f"{self.file.stem}, values", report), self._check)

    def _check(self, name: str, weight: Tensor) -> None:
        """Refuses what no encoding can hold. Quantising refuses nothing but values that reading refuses already."""
        encoding = (self.encodings or {}).get(name)
        if isinstance(encoding, PassThrough):
            encoding.encode(name, weight)

    def open(self) -> ComponentWeights:
        """Opens the weights after ``write``, in this export or an interrupted one."""
        if self.encodings is None:
            return ComponentWeights(self.shards.weights, {}, self.shards.files)
        written = QuantisedWeights.open(self.file)
        traced = {
            name: dataclasses.replace(written.shards.weight(name), shape=self.source.shape(name))
            for name in written.quantised
        }
        return ComponentWeights({**written.shards.weights, **traced}, written.quantised, (self.file,))


def plan_weights(
    shards: Shards,
    name: str,
    model: nn.Module,
    out: Path,
    *,
    adapters: Sequence[Adapter] = (),
    recipe: Recipe | None = None,
    calibration: Calibration | None = None,
) -> PlannedWeights:
    """Decides for each weight of a component how it is stored; writes nothing.

    ``model`` is the component without weights, in the type that is traced. Without a recipe the precision is float32.
    Weights that the recipe does not quantise are stored in the type that is traced. Raises ``ExportError`` where
    weights are missing, damaged, or not those of the configuration.
    """
    precision = "fp32" if recipe is None else recipe.precision
    check_weights(model, shards)
    source: WeightSource = FusedWeights(shards, adapters) if adapters else shards
    quantised = {} if recipe is None else _quantised(recipe, source, calibration)
    parameters = stored_parameters(model, shards.names())
    suffix = "" if precision == "fp32" else f".{precision}"
    file = out / WEIGHTS_FOLDER / f"{name}{suffix}.safetensors"
    # A graph in float32 reads what is stored in less with a Cast, so there is nothing to convert.
    is_stored_so = all(shards.dtype(key) == tensor.dtype for key, tensor in parameters.items())
    is_ready = precision == "fp32" or (is_stored_so and not quantised and not adapters)
    if is_ready and not adapters and shards.are_places and _are_inside(shards.files, out):
        return PlannedWeights(shards, _relative_to(shards, out), None, file)
    encodings = {
        key: quantised.get(key) or PassThrough(source.dtype(key) if is_ready else tensor.dtype)
        for key, tensor in parameters.items()
    }
    return PlannedWeights(source, shards, encodings, file)


def _quantised(recipe: Recipe, source: WeightSource, calibration: Calibration | None) -> dict[str, Encoding]:
    encodings = recipe.encodings(source, calibration)
    return {name: encoding for name, encoding in encodings.items() if not isinstance(encoding, PassThrough)}


def _are_inside(files: Sequence[Path], folder: Path) -> bool:
    return all(file.resolve().is_relative_to(folder.resolve()) for file in files)


def _relative_to(shards: Shards, out: Path) -> Shards:
    """The same shards by paths that begin with the bundle's folder, links resolved."""
    return Shards(
        str(out),
        {
            name: dataclasses.replace(weight, file=out / weight.file.resolve().relative_to(out.resolve()))
            for name, weight in shards.weights.items()
        },
    )
