"""Where each stored tensor lies on disk, by its name. Knows safetensors files; knows no model and no graph.

Only headers are read when a component is opened, so a component of 57 GB opens as fast as one of 20 MB. A tensor that
is asked for is mapped into memory by itself and let go with the last reference to it: who walks over all tensors one
after another never holds more than one.
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, Self

import numpy as np
import onnx_ir as ir
import torch

from export.errors import ExportError

_MAX_HEADER_BYTES = 100 * 1024 * 1024  # the format's own limit
_DTYPES: Mapping[str, tuple[ir.DataType, torch.dtype]] = {
    "F64": (ir.DataType.DOUBLE, torch.float64),
    "F32": (ir.DataType.FLOAT, torch.float32),
    "F16": (ir.DataType.FLOAT16, torch.float16),
    "BF16": (ir.DataType.BFLOAT16, torch.bfloat16),
    "F8_E4M3": (ir.DataType.FLOAT8E4M3FN, torch.float8_e4m3fn),
    "I64": (ir.DataType.INT64, torch.int64),
    "I32": (ir.DataType.INT32, torch.int32),
    "I8": (ir.DataType.INT8, torch.int8),
    "U8": (ir.DataType.UINT8, torch.uint8),
    "BOOL": (ir.DataType.BOOL, torch.bool),
}
_TORCH_DTYPES = dict(_DTYPES.values())
_WEIGHT_DTYPES = (torch.float64, torch.float32, torch.float16, torch.bfloat16)


class WeightSource(Protocol):
    """Tensors by name, read one at a time: shards on disk, or something that changes what it reads from another."""

    def names(self) -> Sequence[str]:
        """Every name, in a fixed order."""

    def shape(self, name: str) -> tuple[int, ...]:
        """Lengths of the axes."""

    def dtype(self, name: str) -> torch.dtype:
        """What ``read`` gives."""

    def read(self, name: str) -> torch.Tensor:
        """The tensor. Whoever asks may change it without changing the source."""


@dataclass(frozen=True)
class StoredWeight:
    """One tensor inside a file; ``offset`` counts bytes from the start of the file."""

    file: Path
    dtype: ir.DataType
    shape: tuple[int, ...]
    offset: int
    byte_count: int

    def external(self, name: str, base: Path) -> ir.ExternalTensor:
        """The weight as ONNX external data, its location relative to the graph's folder ``base``."""
        return ir.ExternalTensor(
            location=self.file.relative_to(base).as_posix(),
            offset=self.offset,
            length=self.byte_count,
            dtype=self.dtype,
            shape=ir.Shape(self.shape),
            name=name,
            base_dir=base,
        )

    def read(self) -> torch.Tensor:
        """The tensor, mapped: pages come from the file as they are touched, and a write stays in memory."""
        dtype = _TORCH_DTYPES[self.dtype]
        if self.byte_count == 0:
            return torch.empty(self.shape, dtype=dtype)
        mapped = np.memmap(self.file, np.uint8, mode="c", offset=self.offset, shape=(self.byte_count,))
        return torch.from_numpy(mapped).view(dtype).reshape(self.shape)


class Shards:
    """The tensors of one component, over all its files. A ``WeightSource``."""

    def __init__(self, label: str, weights: Mapping[str, StoredWeight]) -> None:
        self._label = label
        self._weights = dict(weights)

    @classmethod
    def open(cls, folder: Path) -> Self:
        """Reads the headers of a component's folder. Raises ``ExportError`` for files that are missing or damaged."""
        weights: dict[str, StoredWeight] = {}
        for file in _files(folder):
            for name, weight in _read_header(file):
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
        return cls(str(file), dict(_read_header(file)))

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
        """Where every tensor lies, by name."""
        return self._weights

    def weight(self, name: str) -> StoredWeight:
        """Where a tensor lies. Raises ``ExportError`` where there is none of that name."""
        if name not in self._weights:
            raise ExportError(f"cannot load {self._label}: it holds no {name}; download the component again")
        return self._weights[name]

    def shape(self, name: str) -> tuple[int, ...]:
        """Lengths of the axes."""
        return self.weight(name).shape

    def dtype(self, name: str) -> torch.dtype:
        """The precision in which it is stored."""
        return _TORCH_DTYPES[self.weight(name).dtype]

    def read(self, name: str) -> torch.Tensor:
        """The tensor, mapped into memory until the last reference to it is gone."""
        return self.weight(name).read()

    def check(self, shapes: Mapping[str, tuple[int, ...]]) -> None:
        """Whether these weights of a model are here, in these shapes, as floating point. Raises ``ExportError``."""
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
                    "the checkpoint in float32, float16 or bfloat16, quantising is the exporter's work"
                )


def _files(folder: Path) -> list[Path]:
    """The safetensors files that an index names, or without an index all of them."""
    remedy = "download the component again"
    for index in sorted(folder.glob("*.safetensors.index.json")):
        try:
            names = sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))
        except (OSError, ValueError, KeyError, AttributeError, TypeError) as error:
            raise ExportError(f"cannot load {folder}: {index.name} is no index of shards; {remedy}") from error
        missing = [name for name in names if not (folder / name).is_file()]
        if missing:
            raise ExportError(
                f"cannot load {folder}: {index.name} names {missing[0]}, which is missing"
                f"{f' with {len(missing) - 1} more' if len(missing) > 1 else ''}; {remedy}"
            )
        return [folder / name for name in names]
    files = sorted(folder.glob("*.safetensors"))
    if not files:
        raise ExportError(f"{folder} holds no .safetensors file; {remedy}")
    return files


def _read_header(file: Path) -> Iterator[tuple[str, StoredWeight]]:
    """Entries of a safetensors file: 8 bytes of header length, a JSON header, then the data."""
    start, header = _parse_header(file)
    byte_count = file.stat().st_size
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        try:
            dtype, shape = str(entry["dtype"]), tuple(int(axis) for axis in entry["shape"])
            first, last = (start + int(offset) for offset in entry["data_offsets"])
        except (KeyError, TypeError, ValueError) as error:
            raise _damaged(file, f"its entry for {name} is none") from error
        if dtype not in _DTYPES:
            raise ExportError(f"cannot load {file.parent}: {name} in {file.name} is stored as {dtype}; store it as F32")
        if last > byte_count:
            raise _damaged(file, f"is cut short: {byte_count} bytes instead of at least {last}")
        onnx_dtype, torch_dtype = _DTYPES[dtype]
        if last - first != math.prod(shape) * torch_dtype.itemsize:
            raise _damaged(file, f"gives {name} {last - first} bytes, too many or too few for {dtype} {list(shape)}")
        yield name, StoredWeight(file, onnx_dtype, shape, first, last - first)


def _parse_header(file: Path) -> tuple[int, dict[str, Any]]:
    """Where the data begins, and the header."""
    try:
        with file.open("rb") as stream:
            length = struct.unpack("<Q", stream.read(8))[0]
            if length > _MAX_HEADER_BYTES:
                raise _damaged(file, f"has a header of {length} bytes")
            content = stream.read(length)
            header = json.loads(content) if len(content) == length else None
    except OSError as error:
        raise ExportError(f"cannot load {file.parent}: {file.name}: {error.strerror}") from error
    except (struct.error, ValueError) as error:
        raise _damaged(file, "has no readable header") from error
    if not isinstance(header, dict):
        raise _damaged(file, "has no readable header")
    return 8 + length, header


def _damaged(file: Path, fault: str) -> ExportError:
    return ExportError(f"cannot load {file.parent}: {file.name} {fault}; download the component again")
