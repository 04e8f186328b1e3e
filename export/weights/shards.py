"""Weights by name, read one at a time: the interface, and its implementation over a component's shards.

A tensor that is read is memory-mapped and freed with its last reference, so that iterating over all tensors of a
component holds one of them at a time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol, Self

import torch

from export.errors import ExportError
from export.weights.safetensors_file import TORCH_DTYPES, StoredWeight, read_header, shard_files

_WEIGHT_DTYPES = (torch.float64, torch.float32, torch.float16, torch.bfloat16)


class WeightSource(Protocol):
    """Tensors of a component by name, read one at a time: from disk, or derived from another weight source."""

    def names(self) -> Sequence[str]:
        """Every name, in a fixed order."""

    def shape(self, name: str) -> tuple[int, ...]:
        """Lengths of the axes."""

    def dtype(self, name: str) -> torch.dtype:
        """Type of the tensor that ``read`` returns."""

    def read(self, name: str) -> torch.Tensor:
        """The tensor. Changing it does not change the source."""


class Shards:
    """The stored tensors of one component, over all its files. A ``WeightSource``."""

    def __init__(self, label: str, weights: Mapping[str, StoredWeight]) -> None:
        self._label = label
        self._weights = dict(weights)

    @classmethod
    def open(cls, folder: Path) -> Self:
        """Reads the headers of a component's folder. Raises ``ExportError`` for files that are missing or damaged."""
        weights: dict[str, StoredWeight] = {}
        for file in shard_files(folder):
            for name, weight in read_header(file):
                if name in weights:
                    raise ExportError(
                        f"cannot load {folder}: {name} is in {weights[name].file.name} and in {file.name}; keep the "
                        "files of one variant only"
                    )
                weights[name] = weight
        return cls(str(folder), weights)

    @classmethod
    def of_file(cls, file: Path) -> Self:
        """Reads the header of one file."""
        return cls(str(file), dict(read_header(file)))

    @property
    def files(self) -> tuple[Path, ...]:
        """The files that hold at least one tensor, in order."""
        return tuple(dict.fromkeys(weight.file for weight in self._weights.values()))

    @property
    def byte_count(self) -> int:
        """Bytes of all tensors."""
        return sum(weight.byte_count for weight in self._weights.values())

    def names(self) -> Sequence[str]:
        """Every name, in the order of the files."""
        return tuple(self._weights)

    def __contains__(self, name: object) -> bool:
        return name in self._weights

    @property
    def weights(self) -> Mapping[str, StoredWeight]:
        """Places of all tensors by name."""
        return self._weights

    def weight(self, name: str) -> StoredWeight:
        """Place of a tensor. Raises ``ExportError`` for an unknown name."""
        if name not in self._weights:
            raise ExportError(f"cannot load {self._label}: it holds no {name}; download the component again")
        return self._weights[name]

    def shape(self, name: str) -> tuple[int, ...]:
        """Lengths of the axes."""
        return self.weight(name).shape

    def dtype(self, name: str) -> torch.dtype:
        """Type in which the tensor is stored."""
        return TORCH_DTYPES[self.weight(name).dtype]

    def read(self, name: str) -> torch.Tensor:
        """The tensor, memory-mapped until its last reference is gone."""
        return self.weight(name).read()

    def check(self, shapes: Mapping[str, tuple[int, ...]]) -> None:
        """Refuses weights that are missing, of another shape, or not floating point. Raises ``ExportError``."""
        for name, shape in shapes.items():
            weight = self.weight(name)
            if weight.shape != shape:
                raise ExportError(
                    f"cannot load {self._label}: {name} in {weight.file.name} has shape {list(weight.shape)}, "
                    f"config.json makes it {list(shape)}; download the component again, whole"
                )
            if self.dtype(name) not in _WEIGHT_DTYPES:
                raise ExportError(
                    f"cannot load {self._label}: {name} in {weight.file.name} is stored as {self.dtype(name)}; give "
                    "the checkpoint in float32, float16 or bfloat16, the exporter quantises it itself"
                )
