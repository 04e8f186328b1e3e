"""Counts the frames of a GIF file (GIF89a, sections 17 to 27) without decoding them."""

from __future__ import annotations

import struct

from engine.media.container.facts import MOST_FRAMES, FileFacts

_EXTENSION, _FRAME = 0x21, 0x2C
_HEADER_BYTES = 13  # with the description of the screen
_FRAME_BYTES = 10


def read_gif(data: bytes) -> FileFacts:
    """Facts of a GIF file. A cut file has as many frames as begin in it."""
    count, width, height = 0, 0, 0
    try:
        width, height = struct.unpack_from("<HH", data, 6)
        place = _HEADER_BYTES + _palette_bytes(data[10])
        while count < MOST_FRAMES:
            if data[place] == _EXTENSION:
                place = _after_blocks(data, place + 2)
            elif data[place] == _FRAME:
                count += 1
                left, top, frame_width, frame_height = struct.unpack_from("<HHHH", data, place + 1)
                width, height = max(width, left + frame_width), max(height, top + frame_height)
                palette_bytes = _palette_bytes(data[place + 9])
                place = _after_blocks(data, place + _FRAME_BYTES + palette_bytes + 1)
            else:
                break
    except (IndexError, struct.error):
        pass
    return FileFacts(data, frame_count=max(count, 1), size_px=(width, height))


def _palette_bytes(flags: int) -> int:
    return 3 << ((flags & 7) + 1) if flags & 0x80 else 0


def _after_blocks(data: bytes, place: int) -> int:
    while data[place]:
        place += data[place] + 1
    return place + 1
