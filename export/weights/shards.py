"""Weights by name, read one at a time: the interface, and its implementation over the files of a component.

A tensor that is read is memory-mapped and freed with its last reference, so that iterating over all tensors of a
component holds one of them at a time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol, Self

import torch

from export.errors import ExportError
from export.weights.files.safetensors_file import StoredWeight, read_header
from export.weights.files.stored_tensor import StoredTensor, require_finite
from export.weights.files.tensor_files import read_tensors, weight_files

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

    def __init__(self, label: str, tensors: Mapping[str, StoredTensor]) -> None:
        self._label = label
        self._tensors = dict(tensors)

    @classmethod
    def open(cls, folder: Path) -> Self:
        """Reads the headers of a component's folder. Raises ``ExportError`` for files that are missing or damaged."""
        return cls(str(folder), read_tensors(weight_files(folder)))

    @classmethod
    def of_file(cls, file: Path) -> Self:
        """Reads the header of one safetensors file."""
        return cls(str(file), dict(read_header(file)))

    @property
    def files(self) -> tuple[Path, ...]:
        """The files that hold at least one tensor, in order."""
        return tuple(dict.fromkeys(tensor.file for tensor in self._tensors.values()))

    @property
    def byte_count(self) -> int:
        """Bytes of all tensors in their files."""
        return sum(tensor.byte_count for tensor in self._tensors.values())

    def names(self) -> Sequence[str]:
        """Every name, in the order of the files."""
        return tuple(self._tensors)

    def __contains__(self, name: object) -> bool:
        return name in self._tensors

    @property
    def weights(self) -> Mapping[str, StoredWeight]:
        """Places of the tensors that a graph can read from their files: all but those that reading dequantises."""
        return {name: tensor for name, tensor in self._tensors.items() if isinstance(tensor, StoredWeight)}

    @property
    def are_places(self) -> bool:
        """True if a graph can read every tensor from its file."""
        return len(self.weights) == len(self._tensors)

    def weight(self, name: str) -> StoredWeight:
        """Place of a tensor. Raises ``ExportError`` for an unknown name and for a tensor that has no place."""
        tensor = self.tensor(name)
        if not isinstance(tensor, StoredWeight):
            raise ExportError(f"{tensor.file}: {name} is dequantised when it is read; no graph can point at its file")
        return tensor

    def tensor(self, name: str) -> StoredTensor:
        """A tensor by name. Raises ``ExportError`` for an unknown name."""
        if name not in self._tensors:
            raise ExportError(f"cannot load {self._label}: it holds no {name}; download the component again")
        return self._tensors[name]

    def shape(self, name: str) -> tuple[int, ...]:
        """Lengths of the axes."""
        return self.tensor(name).shape

    def dtype(self, name: str) -> torch.dtype:
        """Type of the tensor that ``read`` returns."""
        return self.tensor(name).torch_dtype

    def read(self, name: str) -> torch.Tensor:
        """The tensor, memory-mapped until its last reference is gone.

        Raises ``ExportError``, naming tensor and file, for values that are infinite or not a number.
        """
        tensor = self.tensor(name)
        return require_finite(name, tensor.read(), tensor.file)

    def check(self, shapes: Mapping[str, tuple[int, ...]]) -> None:
        """Refuses weights that are missing, of another shape, or not floating point. Raises ``ExportError``."""
        for name, shape in shapes.items():
            tensor = self.tensor(name)
            if tensor.shape != shape:
                raise ExportError(
                    f"cannot load {self._label}: {name} in {tensor.file.name} has shape {list(tensor.shape)}, "
                    f"config.json makes it {list(shape)}; download the component again, whole"
                )
            if tensor.torch_dtype not in _WEIGHT_DTYPES:
                raise ExportError(
                    f"cannot load {self._label}: {name} in {tensor.file.name} is stored as {tensor.torch_dtype}; give "
                    "the checkpoint in float32, float16 or bfloat16, the exporter quantises it itself"
                )
