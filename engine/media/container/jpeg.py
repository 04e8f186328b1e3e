"""Counts the scans of a JPEG file (ITU-T T.81, annex B), each of which its decoder runs over the whole picture."""

from __future__ import annotations

import re
import struct

from engine.media.container.facts import FileFacts

_MOST_SCANS = 100  # progressive files of usual encoders have 10
_SCAN, _END = 0xDA, 0xD9
_WITHOUT_LENGTH = frozenset({0x01, *range(0xD0, 0xD9)})
_SCAN_OR_END = re.compile(rb"\xff[\xd9\xda]")


def read_jpeg(data: bytes) -> FileFacts:
    """Facts of a JPEG file; refuses one of more scans than any encoder writes."""
    for count, found in enumerate(_SCAN_OR_END.finditer(data, _first_scan(data))):
        if found[0][1] == _END:
            break
        if count >= _MOST_SCANS:
            return FileFacts(data, refusal=f"is a JPEG file of more than {_MOST_SCANS} scans; save it again")
    return FileFacts(data)


def _first_scan(data: bytes) -> int:
    """Offset of the first scan's marker; the end of the data if there is none."""
    place = 2
    while place + 4 <= len(data):
        if data[place] != 0xFF:
            place += 1
        elif data[place + 1] == _SCAN:
            return place
        elif data[place + 1] == 0xFF:
            place += 1
        else:
            has_length = data[place + 1] not in _WITHOUT_LENGTH
            place += 2 + (struct.unpack_from(">H", data, place + 2)[0] if has_length else 0)
    return len(data)
