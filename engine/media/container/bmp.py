"""The header of a BMP file: its compression and its profile (BITMAPV5HEADER)."""

from __future__ import annotations

import struct

from engine.media.container.facts import DAMAGED, FileFacts

_FILE_HEADER_BYTES = 14
_COMPRESSION_OFFSET = _FILE_HEADER_BYTES + 16
_READ = frozenset({0, 3, 6})  # none, and colours by masks
_COLOURS_OFFSET, _PROFILE_OFFSET = _FILE_HEADER_BYTES + 56, _FILE_HEADER_BYTES + 112
_V5_BYTES = 124
_EMBEDDED = b"DEBM"


def read_bmp(data: bytes) -> FileFacts:
    """Facts of a BMP file; refuses run lengths, which its decoder reads one by one."""
    if len(data) < _FILE_HEADER_BYTES + 12:
        return FileFacts(data, refusal=DAMAGED)
    header_bytes = struct.unpack_from("<I", data, _FILE_HEADER_BYTES)[0]
    compression = struct.unpack_from(
        "<I", data[: _COMPRESSION_OFFSET + 4].ljust(_COMPRESSION_OFFSET + 4, b"\0"), _COMPRESSION_OFFSET
    )[0]
    if header_bytes >= 40 and compression not in _READ:
        return FileFacts(data, refusal="is a compressed BMP file; save it without compression, or as PNG")
    if header_bytes >= _V5_BYTES and data[_COLOURS_OFFSET : _COLOURS_OFFSET + 4] == _EMBEDDED:
        start, length = struct.unpack_from(
            "<II", data[: _PROFILE_OFFSET + 8].ljust(_PROFILE_OFFSET + 8, b"\0"), _PROFILE_OFFSET
        )
        return FileFacts(data, tag=data[_FILE_HEADER_BYTES + start :][:length])
    return FileFacts(data)
