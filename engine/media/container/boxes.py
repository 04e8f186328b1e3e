"""Boxes of an HEIF or AVIF file (ISO/IEC 14496-12 and 23008-12): items, their data, and the colours of the picture."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

_FULL_BOX_BYTES = 4  # version and flags
_MOST_ITEMS = 1000

Span = tuple[int, int]  # start and end in the data


class BoxesDamagedError(Exception):
    """A box that does not fit into the one around it, or items whose data cannot be found."""


@dataclass(frozen=True, slots=True)
class ItemFile:
    """``items``: the data of each; ``colour_codes`` of the picture, H.273 primaries and transfer, None if not stated.

    ``is_sequence`` is True for a file that also holds a video track.
    """

    items: tuple[bytes, ...]
    colour_codes: tuple[int, int] | None
    is_sequence: bool


def read_boxes(data: bytes, item_kind: bytes | None = None) -> ItemFile:
    """Reads the boxes of a file, with the data of its items of ``item_kind``. Raises ``BoxesDamagedError``."""
    try:
        top = _top_boxes(data)
        if b"moov" in top:
            return ItemFile((), None, is_sequence=True)
        meta = dict(_boxes(data, _inside(top[b"meta"])))
        wanted = {number for number, kind in _kinds(data, meta[b"iinf"]) if kind == item_kind}
        items = _contents(data, meta[b"iloc"], meta.get(b"idat"), wanted) if wanted else ()
        return ItemFile(tuple(items), _colour_codes(data, meta), is_sequence=False)
    except (KeyError, IndexError, struct.error) as error:
        raise BoxesDamagedError from error


def _top_boxes(data: bytes) -> dict[bytes, Span]:
    """The first box of each type. Whatever follows the last whole box is left: telephones append things."""
    found: dict[bytes, Span] = {}
    try:
        for kind, span in _boxes(data, (0, len(data))):
            found.setdefault(kind, span)
    except BoxesDamagedError:
        return found
    return found


def _boxes(data: bytes, span: Span) -> Iterator[tuple[bytes, Span]]:
    place, end = span
    while place + 8 <= end:
        size, kind = struct.unpack_from(">I4s", data, place)
        header = 8
        if size == 1:
            size, header = struct.unpack_from(">Q", data, place + 8)[0], 16
        elif size == 0:
            size = end - place
        if size < header or place + size > end:
            raise BoxesDamagedError
        yield kind, (place + header, place + size)
        place += size


def _inside(span: Span) -> Span:
    return span[0] + _FULL_BOX_BYTES, span[1]


def _kinds(data: bytes, span: Span) -> Iterator[tuple[int, bytes]]:
    count_bytes = 2 if data[span[0]] == 0 else 4
    start, end = _inside(span)
    for kind, (place, _) in _boxes(data, (start + count_bytes, end)):
        if kind == b"infe" and data[place] in {2, 3}:
            number_format = ">HH4s" if data[place] == 2 else ">IH4s"
            number, _, item_kind = struct.unpack_from(number_format, data, place + _FULL_BOX_BYTES)
            yield number, item_kind


def _contents(data: bytes, span: Span, idat: Span | None, wanted: set[int]) -> Iterator[bytes]:
    """The data of each wanted item, put together from its extents (box ``iloc``)."""
    reader = _Reader(data, span[0])
    version = reader.number(1)
    reader.number(3)
    sizes = reader.number(2)
    offset_bytes, length_bytes, base_bytes = sizes >> 12, sizes >> 8 & 15, sizes >> 4 & 15
    index_bytes = sizes & 15 if version else 0
    held = 0
    for _ in range(min(reader.number(4 if version == 2 else 2), _MOST_ITEMS + 1)):
        number = reader.number(4 if version == 2 else 2)
        method = reader.number(2) & 15 if version else 0
        reader.number(2)
        base = reader.number(base_bytes)
        parts = []
        for _ in range(reader.number(2)):
            reader.number(index_bytes)
            start, length = base + reader.number(offset_bytes), reader.number(length_bytes)
            if number not in wanted:
                continue
            whole = idat if method == 1 else (0, len(data))
            if whole is None or method > 1 or start + length > whole[1] - whole[0]:
                raise BoxesDamagedError
            stop = whole[0] + start + length if length else whole[1]
            parts.append(data[whole[0] + start : stop])
            held += len(parts[-1])
            if held > 4 * len(data):  # many items that all name the same bytes
                raise BoxesDamagedError
        if number in wanted:
            yield b"".join(parts)


class _Reader:
    """Reads numbers one after another."""

    def __init__(self, data: bytes, place: int) -> None:
        self._data, self._place = data, place

    def number(self, byte_count: int) -> int:
        part = self._data[self._place : self._place + byte_count]
        if len(part) < byte_count:
            raise BoxesDamagedError
        self._place += byte_count
        return int.from_bytes(part, "big")


def _colour_codes(data: bytes, meta: Mapping[bytes, Span]) -> tuple[int, int] | None:
    """Primaries and transfer of the primary item's ``nclx`` property."""
    reader = _Reader(data, meta[b"pitm"][0])
    primary_bytes = 2 if reader.number(1) == 0 else 4
    reader.number(3)
    primary = reader.number(primary_bytes)
    inner = dict(_boxes(data, meta[b"iprp"]))
    properties = list(_boxes(data, inner[b"ipco"]))
    for index in _associations(data, inner[b"ipma"], primary):
        kind, (start, end) = properties[index - 1] if 0 < index <= len(properties) else (b"", (0, 0))
        if kind == b"colr" and data[start : start + 4] == b"nclx" and end - start >= 10:
            primaries, transfer = struct.unpack_from(">HH", data, start + 4)
            return primaries, transfer
    return None


def _associations(data: bytes, span: Span, item: int) -> list[int]:
    reader = _Reader(data, span[0])
    version, flags = reader.number(1), reader.number(3)
    for _ in range(min(reader.number(4), _MOST_ITEMS + 1)):
        number = reader.number(4 if version else 2)
        indexes = [reader.number(2) & 0x7FFF if flags & 1 else reader.number(1) & 0x7F for _ in range(reader.number(1))]
        if number == item:
            return indexes
    return []
