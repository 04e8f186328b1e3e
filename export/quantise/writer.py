"""One pass over a component's weights into one safetensors file. Knows the file format; knows no model.

Where every tensor will lie follows from names, shapes and encodings, so the header is written first and each weight
goes straight to its place: memory holds one weight at a time, however large the component is.

Torch counts with one thread meanwhile. A pass is thousands of short operations that a cache holds, and several threads
wait for each other after each of them: for nothing on an idle machine, for long on a busy one (docs/log.md).
"""

from __future__ import annotations

import errno
import json
import math
import os
import struct
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import torch
from torch import Tensor

from export.errors import ExportError
from export.quantise.encodings import Encoding, Part
from export.weights.shards import WeightSource

METADATA_KEY = "quantised"
# Data begins at a multiple of this, as readers that map the file like it.
_ALIGNMENT = 64
_DTYPE_NAMES = {
    torch.float64: "F64",
    torch.float32: "F32",
    torch.float16: "F16",
    torch.bfloat16: "BF16",
    torch.float8_e4m3fn: "F8_E4M3",
    torch.int64: "I64",
    torch.int32: "I32",
    torch.int8: "I8",
    torch.uint8: "U8",
    torch.bool: "BOOL",
}


@dataclass(frozen=True)
class Progress:
    """How far a pass is, after the weight ``name``. Bytes are those of the source."""

    name: str
    tensor_number: int
    tensor_count: int
    byte_number: int
    byte_count: int


@dataclass(frozen=True)
class _Place:
    part: Part
    offset: int  # from the start of the data
    byte_count: int


def write_tensors(
    source: WeightSource,
    encodings: Mapping[str, Encoding],
    file: Path,
    report: Callable[[Progress], None] | None = None,
) -> None:
    """Writes every weight that ``encodings`` names, encoded, atomically.

    Raises ``ExportError`` where a weight cannot be encoded or the disk is full; the file is then not there.
    """
    shapes = {name: source.shape(name) for name in encodings}
    places = _places([part for name, encoding in encodings.items() for part in encoding.parts(name, shapes[name])])
    header = _header(places.values(), _metadata(encodings, shapes))
    sizes = {name: math.prod(shapes[name]) * source.dtype(name).itemsize for name in encodings}
    file.parent.mkdir(parents=True, exist_ok=True)
    partial = file.with_suffix(".partial")
    done = 0
    try:
        with _one_thread(), partial.open("wb") as stream:
            stream.write(header)
            for number, (name, encoding) in enumerate(encodings.items(), start=1):
                parts = encoding.parts(name, shapes[name])
                for part, tensor in zip(parts, encoding.encode(name, source.read(name)), strict=True):
                    _write(stream, len(header) + places[part.name].offset, part, tensor)
                done += sizes[name]
                if report is not None:
                    report(Progress(name, number, len(encodings), done, sum(sizes.values())))
            stream.flush()
            os.fsync(stream.fileno())
        partial.replace(file)
    except OSError as error:
        if error.errno == errno.ENOSPC:
            needed = len(header) + sum(place.byte_count for place in places.values())
            raise ExportError(
                f"{file}: the disk is full, {needed} bytes are needed; free some or export to another"
            ) from error
        raise
    finally:
        partial.unlink(missing_ok=True)


def encoded_byte_count(source: WeightSource, encodings: Mapping[str, Encoding]) -> int:
    """Bytes that ``write_tensors`` will write, the header left out. Reads no weight."""
    return sum(
        _byte_count(part)
        for name, encoding in encodings.items()
        for part in encoding.parts(name, tuple(source.shape(name)))
    )


@contextmanager
def _one_thread() -> Iterator[None]:
    thread_count = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(thread_count)


def _write(stream: BinaryIO, offset: int, part: Part, tensor: Tensor) -> None:
    if tuple(tensor.shape) != part.shape or tensor.dtype != part.dtype:
        raise RuntimeError(f"{part.name}: encoded to {tensor.dtype} {list(tensor.shape)}, promised {part}")
    stream.seek(offset)
    stream.write(tensor.contiguous().reshape(-1).view(torch.uint8).numpy().data)


def _places(parts: Sequence[Part]) -> dict[str, _Place]:
    """Wide types first, so that every tensor is aligned to its own type without gaps, which the format forbids."""
    places: dict[str, _Place] = {}
    offset = 0
    for part in sorted(parts, key=lambda part: -part.dtype.itemsize):  # a stable sort: the order of the source
        if part.name in places:
            raise ExportError(f"{part.name}: two weights would be stored under this name; rename one of them")
        places[part.name] = _Place(part, offset, _byte_count(part))
        offset += places[part.name].byte_count
    return places


def _byte_count(part: Part) -> int:
    return math.prod(part.shape) * part.dtype.itemsize


def _metadata(encodings: Mapping[str, Encoding], shapes: Mapping[str, tuple[int, ...]]) -> dict[str, str]:
    described = {name: encoding.description(shapes[name]) for name, encoding in encodings.items()}
    return {METADATA_KEY: json.dumps({name: item for name, item in described.items() if item is not None})}


def _header(places: Iterable[_Place], metadata: dict[str, str]) -> bytes:
    entries: dict[str, object] = {"__metadata__": metadata}
    for place in places:
        entries[place.part.name] = {
            "dtype": _DTYPE_NAMES[place.part.dtype],
            "shape": list(place.part.shape),
            "data_offsets": [place.offset, place.offset + place.byte_count],
        }
    text = json.dumps(entries, separators=(",", ":")).encode()
    text += b" " * (-(8 + len(text)) % _ALIGNMENT)
    return struct.pack("<Q", len(text)) + text
