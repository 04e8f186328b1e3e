"""The safetensors format: a header of 8 length bytes and JSON, then the tensors. Reads headers, maps tensors.

Opening a file of 57 GB costs as much as opening one of 20 MB, because only headers are read.
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx_ir as ir
import torch

from export.errors import ExportError

_MAX_HEADER_BYTES = 100 * 1024 * 1024  # the format's own limit
# ONNX and torch type of each type name of the format.
DTYPES: Mapping[str, tuple[ir.DataType, torch.dtype]] = {
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
TORCH_DTYPES = dict(DTYPES.values())


@dataclass(frozen=True)
class StoredWeight:
    """Place of one tensor in a file. ``offset`` counts bytes from the start of the file."""

    file: Path
    dtype: ir.DataType
    shape: tuple[int, ...]
    offset: int
    byte_count: int

    def external(self, name: str, base: Path) -> ir.ExternalTensor:
        """The tensor as ONNX external data, located relative to ``base``, the folder of the graph."""
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
        """The tensor, memory-mapped: pages are read when touched, and writes to it do not reach the file."""
        dtype = TORCH_DTYPES[self.dtype]
        if self.byte_count == 0:
            return torch.empty(self.shape, dtype=dtype)
        mapped = np.memmap(self.file, np.uint8, mode="c", offset=self.offset, shape=(self.byte_count,))
        return torch.from_numpy(mapped).view(dtype).reshape(self.shape)


def shard_files(folder: Path) -> list[Path]:
    """The safetensors files that an index names, or without an index every one. Raises ``ExportError``."""
    remedy = "download the component again"
    for index in sorted(folder.glob("*.safetensors.index.json")):
        try:
            names = sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))
        except (OSError, ValueError, KeyError, AttributeError, TypeError) as error:
            raise ExportError(f"cannot load {folder}: {index.name} is not a shard index; {remedy}") from error
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


def read_header(file: Path) -> Iterator[tuple[str, StoredWeight]]:
    """Names and places of the tensors in a safetensors file. Reads the header only; raises ``ExportError``."""
    start, header = _parse_header(file)
    byte_count = file.stat().st_size
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        try:
            dtype, shape = str(entry["dtype"]), tuple(int(axis) for axis in entry["shape"])
            first, last = (start + int(offset) for offset in entry["data_offsets"])
        except (KeyError, TypeError, ValueError) as error:
            raise _damaged(file, f"has a malformed entry for {name}") from error
        if dtype not in DTYPES:
            raise ExportError(f"cannot load {file.parent}: {name} in {file.name} is stored as {dtype}; store it as F32")
        if last > byte_count:
            raise _damaged(file, f"is cut short: {byte_count} bytes instead of at least {last}")
        onnx_dtype, torch_dtype = DTYPES[dtype]
        if last - first != math.prod(shape) * torch_dtype.itemsize:
            raise _damaged(file, f"gives {name} {last - first} bytes, too many or too few for {dtype} {list(shape)}")
        yield name, StoredWeight(file, onnx_dtype, shape, first, last - first)


def _parse_header(file: Path) -> tuple[int, dict[str, Any]]:
    """Offset of the data in the file, and the parsed header."""
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
