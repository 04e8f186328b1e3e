"""The header of a GGUF file: metadata, and name, shape, type and place of each tensor.

The reader of the ``gguf`` package believes every count that a file states and keeps the whole metadata, the vocabulary
of umT5 included. This one keeps what the exporter needs and holds every count against a limit and the file's size.
Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

from __future__ import annotations

import math
import os
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, NoReturn

from export.errors import ExportError

_MAGIC = b"GGUF"
_VERSIONS = (2, 3)
_MAX_TENSORS = 65_536
_MAX_FIELDS = 65_536
_MAX_STRINGS = 4_000_000  # in one array; umT5 has a vocabulary of 256,384
_MAX_NAME_BYTES = 1_024
_MAX_AXES = 8
_MAX_ALIGNMENT = 1 << 20
_DEFAULT_ALIGNMENT = 32
_STRING, _ARRAY = 8, 9
# struct format of each scalar type of the format, by its number.
_SCALARS: Mapping[int, str] = {
    0: "B",
    1: "b",
    2: "H",
    3: "h",
    4: "I",
    5: "i",
    6: "f",
    7: "?",
    10: "Q",
    11: "q",
    12: "d",
}
_KEPT = ("general.architecture", "general.alignment", "split.count")
_ORIGINAL_SHAPE = "comfy.gguf.orig_shape."  # of a tensor that ComfyUI's converter has flattened

Value = str | int | float | bool | tuple[int | float, ...]


@dataclass(frozen=True)
class TensorInfo:
    """One tensor. ``shape`` is in torch's order; ``type_number`` is ggml's; ``offset`` counts from the file's start."""

    name: str
    shape: tuple[int, ...]
    type_number: int
    offset: int


@dataclass(frozen=True)
class GgufHeader:
    """The parts of a header that the exporter reads. ``architecture``: ``wan`` or ``t5encoder``."""

    architecture: str
    tensors: tuple[TensorInfo, ...]


def read_gguf_header(file: Path) -> GgufHeader:
    """Reads a header in bounded memory. Raises ``ExportError`` for a file that is cut short, damaged or no GGUF."""
    try:
        with file.open("rb") as stream:
            return _Header(file, stream).read()
    except OSError as error:
        raise ExportError(f"cannot read {file}: {error.strerror}") from error


class _Header:
    def __init__(self, file: Path, stream: BinaryIO) -> None:
        self._name = str(file)
        self._stream = stream
        self._size = os.fstat(stream.fileno()).st_size

    def read(self) -> GgufHeader:
        if self._bytes(4) != _MAGIC:
            raise ExportError(f"{self._name} is no GGUF file; download it again")
        version = self._number("I")
        if version not in _VERSIONS:
            fault = f"of version {version}" if version & 0xFFFF else "in big-endian order"
            raise ExportError(f"{self._name} is a GGUF file {fault}; give one of version 2 or 3 in little-endian order")
        tensor_count = self._count("Q", _MAX_TENSORS, "tensors")
        values = self._fields(self._count("Q", _MAX_FIELDS, "metadata fields"))
        parts = values.get("split.count", 1)
        if isinstance(parts, int) and parts > 1:
            raise ExportError(f"{self._name} is one of {parts} parts; merge these with llama.cpp's gguf-split --merge")
        infos = [self._tensor(values) for _ in range(tensor_count)]
        alignment = values.get("general.alignment", _DEFAULT_ALIGNMENT)
        if not isinstance(alignment, int) or not 1 <= alignment <= _MAX_ALIGNMENT:
            self._damaged(f"has an alignment of {alignment}")
        start = -(-self._stream.tell() // alignment) * alignment
        architecture = values.get("general.architecture")
        return GgufHeader(
            architecture if isinstance(architecture, str) else "unknown",
            tuple(TensorInfo(info.name, info.shape, info.type_number, start + info.offset) for info in infos),
        )

    def _fields(self, count: int) -> dict[str, Value]:
        values: dict[str, Value] = {}
        for _ in range(count):
            key = self._text()
            kept = key in _KEPT or key.startswith(_ORIGINAL_SHAPE)
            value = self._value(self._number("I"), keep=kept)
            if value is not None:
                values[key] = value
        return values

    def _value(self, kind: int, *, keep: bool) -> Value | None:
        """Reads one value; None for one that is not kept."""
        if kind == _STRING:
            if keep:
                return self._text()
            self._skip(self._number("Q"))
            return None
        if kind == _ARRAY:
            return self._array(keep=keep)
        if kind not in _SCALARS:
            self._damaged(f"has a metadata field of type {kind}")
        value: int | float | bool = struct.unpack(
            f"<{_SCALARS[kind]}", self._bytes(struct.calcsize(f"<{_SCALARS[kind]}"))
        )[0]
        return value if keep else None

    def _array(self, *, keep: bool) -> tuple[int | float, ...] | None:
        kind, count = self._number("I"), self._number("Q")
        if kind == _STRING:
            if count > _MAX_STRINGS:
                self._damaged(f"has a list of {count} strings")
            for _ in range(count):
                self._skip(self._number("Q"))
            return None
        if kind not in _SCALARS:
            self._damaged(f"has a metadata list of type {kind}")
        code = _SCALARS[kind]
        if not keep:
            self._skip(count * struct.calcsize(f"<{code}"))
            return None
        if count > _MAX_AXES:
            self._damaged(f"gives a tensor {count} axes")
        return struct.unpack(f"<{count}{code}", self._bytes(count * struct.calcsize(f"<{code}")))

    def _tensor(self, values: Mapping[str, Value]) -> TensorInfo:
        name = self._text()
        axis_count = self._count("I", _MAX_AXES, f"axes in {name}")
        stored = struct.unpack(f"<{axis_count}Q", self._bytes(8 * axis_count))[::-1]  # the last axis stands first
        shape = values.get(_ORIGINAL_SHAPE + name, stored)
        if not isinstance(shape, tuple) or not all(isinstance(length, int) and length > 0 for length in shape):
            self._damaged(f"gives {name} the shape {shape}")
        axes = tuple(int(length) for length in shape)
        if math.prod(axes) != math.prod(stored):
            self._damaged(f"stores {name} as {list(stored)}, which are not the elements of {list(axes)}")
        return TensorInfo(name, axes, self._number("I"), self._number("Q"))

    def _text(self) -> str:
        length = self._count("Q", _MAX_NAME_BYTES, "bytes in a name")
        try:
            return self._bytes(length).decode()
        except UnicodeDecodeError:
            self._damaged("has a name that is not UTF-8")

    def _count(self, code: str, limit: int, what: str) -> int:
        count = self._number(code)
        if count > limit:
            self._damaged(f"claims {count} {what}")
        return count

    def _number(self, code: str) -> int:
        return int(struct.unpack(f"<{code}", self._bytes(struct.calcsize(f"<{code}")))[0])

    def _bytes(self, count: int) -> bytes:
        content = self._stream.read(count)
        if len(content) < count:
            self._damaged("is cut short within its header")
        return content

    def _skip(self, count: int) -> None:
        if count > self._size - self._stream.tell():
            self._damaged("is cut short within its header")
        self._stream.seek(count, os.SEEK_CUR)

    def _damaged(self, fault: str) -> NoReturn:
        raise ExportError(f"{self._name} {fault}; download the file again")
