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
from typing import Any, TypeGuard

import numpy as np
import onnx_ir as ir
import torch

from export.errors import ExportError

# A header of 100 bytes a tensor, as an A14B expert has 1,095 of, takes 0.1 MB. The format allows 100 MB, which as JSON
# of nothing but brackets would take 2 GB of memory.
_MAX_HEADER_BYTES = 5 * 1024 * 1024
# ONNX and torch type of each type name of the format.
DTYPES: Mapping[str, tuple[ir.DataType, torch.dtype]] = {
    "F64": (ir.DataType.DOUBLE, torch.float64),
    "F32": (ir.DataType.FLOAT, torch.float32),
    "F16": (ir.DataType.FLOAT16, torch.float16),
    "BF16": (ir.DataType.BFLOAT16, torch.bfloat16),
    "F8_E4M3": (ir.DataType.FLOAT8E4M3FN, torch.float8_e4m3fn),
    "F8_E5M2": (ir.DataType.FLOAT8E5M2, torch.float8_e5m2),
    "I64": (ir.DataType.INT64, torch.int64),
    "I32": (ir.DataType.INT32, torch.int32),
    "I8": (ir.DataType.INT8, torch.int8),
    "U8": (ir.DataType.UINT8, torch.uint8),
    "BOOL": (ir.DataType.BOOL, torch.bool),
}
TORCH_DTYPES = dict(DTYPES.values())
ONNX_DTYPES = {torch_dtype: onnx_dtype for onnx_dtype, torch_dtype in DTYPES.values()}


@dataclass(frozen=True)
class StoredWeight:
    """Place of one tensor in a file, a ``StoredTensor``. ``offset`` counts bytes from the start of the file."""

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

    @property
    def torch_dtype(self) -> torch.dtype:
        """See ``StoredTensor``."""
        return TORCH_DTYPES[self.dtype]

    def read(self) -> torch.Tensor:
        """The tensor, memory-mapped: pages are read when touched, and writes to it do not reach the file."""
        dtype = self.torch_dtype
        if self.byte_count == 0:
            return torch.empty(self.shape, dtype=dtype)
        mapped = np.memmap(self.file, np.uint8, mode="c", offset=self.offset, shape=(self.byte_count,))
        return torch.from_numpy(mapped).view(dtype).reshape(self.shape)


def read_header(file: Path) -> Iterator[tuple[str, StoredWeight]]:
    """Names and places of the tensors in a safetensors file. Reads the header only; raises ``ExportError``."""
    start, header = _parse_header(file)
    byte_count = file.stat().st_size
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        dtype, shape, (first, last) = _entry(file, name, entry)
        if dtype not in DTYPES:
            raise ExportError(
                f"{file}: {name} is stored as {dtype}, which the exporter cannot read; give the file in BF16, F16, F32 "
                "or in F8_E4M3 with its scales"
            )
        if start + last > byte_count:
            raise _damaged(file, f"is cut short: {byte_count} bytes instead of at least {start + last}")
        onnx_dtype, torch_dtype = DTYPES[dtype]
        if last - first != math.prod(shape) * torch_dtype.itemsize:
            raise _damaged(file, f"gives {name} {last - first} bytes, too many or too few for {dtype} {list(shape)}")
        yield name, StoredWeight(file, onnx_dtype, shape, start + first, last - first)


def read_metadata(file: Path) -> dict[str, str]:
    """The texts that the writer of a file put into the header. Raises ``ExportError``."""
    _, header = _parse_header(file)
    metadata = header.get("__metadata__")
    return {str(name): str(text) for name, text in metadata.items()} if isinstance(metadata, dict) else {}


def _entry(file: Path, name: str, entry: object) -> tuple[str, tuple[int, ...], tuple[int, int]]:
    """Type, shape and place of a tensor, counted from the start of the data."""
    fields = entry if isinstance(entry, dict) else {}
    dtype, shape, offsets = (fields.get(key) for key in ("dtype", "shape", "data_offsets"))
    if not (isinstance(dtype, str) and _are_sizes(shape) and _are_sizes(offsets) and len(offsets) == 2):
        raise _damaged(file, f"has a malformed entry for {name[:100]}")
    return dtype, tuple(shape), (offsets[0], offsets[1])


def _are_sizes(numbers: Any) -> TypeGuard[list[int]]:
    return isinstance(numbers, list) and all(type(number) is int and 0 <= number < 2**63 for number in numbers)


def _parse_header(file: Path) -> tuple[int, dict[str, Any]]:
    """Offset of the data in the file, and the parsed header."""
    try:
        with file.open("rb") as stream:
            length = struct.unpack("<Q", stream.read(8))[0]
            first = stream.read(1)
            if first not in (b"{", b"["):
                raise _damaged(
                    file, "is of no known format: it has neither a safetensors header nor another known beginning"
                )
            if length > _MAX_HEADER_BYTES:
                raise _damaged(file, f"has a header of {length} bytes")
            content = first + stream.read(max(0, length - 1))
            header = json.loads(content) if len(content) == length else None
    except OSError as error:
        raise ExportError(f"cannot read {file}: {error.strerror}") from error
    except (struct.error, ValueError, RecursionError) as error:
        raise _damaged(file, "has no readable header") from error
    if not isinstance(header, dict):
        raise _damaged(file, "has no readable header")
    return 8 + length, header


def _damaged(file: Path, fault: str) -> ExportError:
    return ExportError(f"{file} {fault}; download the file again")
