"""The first directory of a TIFF file (TIFF 6.0, section 2): what its decoder would have to do, and the pages."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping

from engine.media.container.facts import DAMAGED, MOST_FRAMES, FileFacts

_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC = 256, 257, 258, 259, 262
_ORIENTATION, _TILE_WIDTH, _TILE_HEIGHT, _SAMPLE_FORMAT = 274, 322, 323, 339
_KIND, _SUB_DIRECTORIES, _DNG_VERSION = 254, 330, 50706
_FORMATS = {3: "H", 4: "I"}  # SHORT, LONG
_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8}
_READ = frozenset({1, 5, 7, 8, 32773, 32946})
_COMPRESSIONS = {2: "CCITT", 3: "fax", 4: "fax", 6: "old JPEG", 34712: "JPEG 2000", 34925: "LZMA", 50000: "Zstandard"}
_SPARE_PIXELS = 1_000_000  # a tile may be larger than a small picture


def read_tiff(data: bytes) -> FileFacts:
    """Facts of a TIFF file; refuses camera raw files, rare compressions, samples of 32 bits and huge tiles."""
    order = "<" if data[:2] == b"II" else ">"
    try:
        directories = list(_directories(data, order))
        first = _tags(data, order, directories[0])
    except (struct.error, IndexError):
        return FileFacts(data, refusal=DAMAGED)
    bits = first.get(_BITS, 1)
    return FileFacts(
        data,
        page_count=len(directories),
        bit_count=bits,
        refusal=_refusal(first, bits),
        is_negative=first.get(_PHOTOMETRIC) == 0 and bits > 8,  # Pillow turns 8 bits only
        is_turned=first.get(_ORIENTATION, 1) in range(2, 9),
    )


def _refusal(tags: Mapping[int, int], bits: int) -> str | None:
    compression = tags.get(_COMPRESSION, 1)
    if _DNG_VERSION in tags or (_SUB_DIRECTORIES in tags and (tags.get(_KIND, 0) & 1 or compression == 6)):
        return "is a camera raw file; develop it and save it as JPEG, PNG or TIFF"
    if compression not in _READ:
        name = _COMPRESSIONS.get(compression, str(compression))
        return f"is a TIFF file with the compression {name}; save it with LZW or Deflate, or as PNG"
    if bits > 16 or tags.get(_SAMPLE_FORMAT, 1) != 1:
        return f"is a TIFF file with {bits} bits a channel as float or signed numbers; save it with 8 or 16 bits"
    tile_pixel_count = tags.get(_TILE_WIDTH, 0) * tags.get(_TILE_HEIGHT, 0)
    if tile_pixel_count > 4 * tags.get(_WIDTH, 0) * tags.get(_HEIGHT, 0) + _SPARE_PIXELS:
        return DAMAGED
    return None


def _directories(data: bytes, order: str) -> Iterator[int]:
    """Offsets of the directories, one a page, at most ``MOST_FRAMES``."""
    offset = struct.unpack_from(f"{order}I", data, 4)[0]
    seen: set[int] = set()
    while offset and offset not in seen and len(seen) < MOST_FRAMES:
        count = struct.unpack_from(f"{order}H", data, offset)[0]
        seen.add(offset)
        yield offset
        end = offset + 2 + 12 * count
        # Some writers end the file here, without the offset of a next directory.
        offset = struct.unpack_from(f"{order}I", data, end)[0] if end + 4 <= len(data) else 0


def _tags(data: bytes, order: str, offset: int) -> dict[int, int]:
    """The first value of each tag, 1 for tags that hold no SHORT or LONG."""
    tags = {}
    for index in range(struct.unpack_from(f"{order}H", data, offset)[0]):
        place = offset + 2 + 12 * index
        tag, kind, count = struct.unpack_from(f"{order}HHI", data, place)
        if kind in _FORMATS and _SIZES[kind] * count > 4:
            place = struct.unpack_from(f"{order}I", data, place + 8)[0] - 8
        tags[tag] = struct.unpack_from(f"{order}{_FORMATS[kind]}", data, place + 8)[0] if kind in _FORMATS else 1
    return tags
