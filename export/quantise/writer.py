"""Writes a component's weights, encoded, into one safetensors file in one pass.

The place of every tensor follows from names, shapes and encodings, so the header is written first and each weight goes
to its place: memory holds one weight at a time, whatever the size of the component.

torch runs with one thread meanwhile. A pass is thousands of short operations on cached data, after each of which
several threads would wait for each other: without gain on an idle machine, for long on a busy one (docs/log.md).
"""

from __future__ import annotations

import errno
import json
import math
import os
import struct
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import torch
from torch import Tensor

from export.atomic_file import replacing
from export.errors import ExportError
from export.quantise.encodings import Encoding, Part
from export.weights.files.safetensors_file import DTYPES
from export.weights.shards import WeightSource

METADATA_KEY = "quantised"
# The data begin at a multiple of this, for readers that map the file.
_ALIGNMENT = 64
_DTYPE_NAMES = {torch_dtype: name for name, (_, torch_dtype) in DTYPES.items()}
_REPORT_EVERY_SECONDS = 5.0
_GB = 1e9


@dataclass(frozen=True)
class Progress:
    """Progress of a pass after the weight ``name``. Bytes are those of the source."""

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

    Raises ``ExportError`` where a weight cannot be encoded or the disk is full; no file is left then.
    """
    shapes = {name: source.shape(name) for name in encodings}
    places = _places([part for name, encoding in encodings.items() for part in encoding.parts(name, shapes[name])])
    header = _header(places.values(), _metadata(encodings, shapes))
    sizes = {name: math.prod(shapes[name]) * source.dtype(name).itemsize for name in encodings}
    file.parent.mkdir(parents=True, exist_ok=True)
    done = 0
    try:
        with _one_thread(), replacing(file) as partial, partial.open("wb") as stream:
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
    except OSError as error:
        if error.errno == errno.ENOSPC:
            needed = len(header) + sum(place.byte_count for place in places.values())
            raise ExportError(
                f"{file}: the disk is full, {needed} bytes are needed; free some space or export to another disk"
            ) from error
        raise


def read_tensors(
    source: WeightSource,
    report: Callable[[Progress], None] | None = None,
    check: Callable[[str, Tensor], None] = lambda _name, _weight: None,
) -> None:
    """Reads every weight of a source once, for the checks that reading makes, and ``check``. Raises ``ExportError``."""
    names = source.names()
    sizes = [math.prod(source.shape(name)) * source.dtype(name).itemsize for name in names]
    done = 0
    for number, (name, size) in enumerate(zip(names, sizes, strict=True), start=1):
        check(name, source.read(name))
        done += size
        if report is not None:
            report(Progress(name, number, len(names), done, sum(sizes)))


def encoded_byte_count(source: WeightSource, encodings: Mapping[str, Encoding]) -> int:
    """Bytes of the tensors that ``write_tensors`` writes, without the header. Reads no weight."""
    return sum(
        _byte_count(part)
        for name, encoding in encodings.items()
        for part in encoding.parts(name, tuple(source.shape(name)))
    )


def progress_lines(label: str, report: Callable[[str], None]) -> Callable[[Progress], None]:
    """A progress callback that reports a line every five seconds, with the estimated time left, and one at the end."""
    started = time.monotonic()
    reported = started

    def advance(progress: Progress) -> None:
        nonlocal reported
        now = time.monotonic()
        is_last = progress.tensor_number == progress.tensor_count
        if not is_last and now - reported < _REPORT_EVERY_SECONDS:
            return
        reported = now
        left = (now - started) * (progress.byte_count / max(progress.byte_number, 1) - 1)
        report(
            f"{label}: {progress.tensor_number} of {progress.tensor_count} tensors, "
            f"{progress.byte_number / _GB:.2f} of {progress.byte_count / _GB:.2f} GB"
            + ("" if is_last else f", {left:.0f} s left")
        )

    return advance


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
        raise RuntimeError(f"{part.name}: encoded to {tensor.dtype} {list(tensor.shape)} instead of {part}")
    stream.seek(offset)
    stream.write(tensor.contiguous().reshape(-1).view(torch.uint8).numpy().data)


def _places(parts: Sequence[Part]) -> dict[str, _Place]:
    """Places tensors of wide types first: each is aligned to its type without gaps, which the format forbids."""
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
