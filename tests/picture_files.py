"""Writes picture files and ICC profiles byte by byte, so that tests know what is in them, and so that they may lie."""

from __future__ import annotations

import base64
import io
import struct
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow

Pixels = NDArray[np.uint8]
Floats = NDArray[np.float64]

# A HEIC file of 64x48 pixels in (200, 40, 30), encoded by libheif 1.23 with x265.
HEIC_FILE = base64.b64decode(
    "AAAAHGZ0eXBoZWl4AAAAAG1pZjFoZWl4bWlhZgAAAX5tZXRhAAAAAAAAACFoZGxyAAAAAAAAAABwaWN0AAAAAAAAAAAAAAAAAAAA"
    "ACJpbG9jAAAAAERAAAEAAQAAAAABogABAAAAAAAAAB8AAAAjaWluZgAAAAAAAQAAABVpbmZlAgAAAAABAABodmMxAAAAAA5waXRt"
    "AAAAAAABAAAA/mlwcnAAAADeaXBjbwAAAHdodmNDAQQIAAAAnjgAAAAAHvAA/P/4+AAADwNgAAEAF0ABDAH//wQIAAADAJ44AAAD"
    "AAAeugJAYQABACpCAQEECAAAAwCeOAAAAwAAHpAEECCy3VyU1zcBDQYEAAADAGQAAAMABCBiAAEACEQBwXMYMAiQAAAAE2NvbHJu"
    "Y2x4AAEADQAGgAAAABRpc3BlAAAAAAAAAEAAAABAAAAAKGNsYXAAAABAAAAAAQAAADAAAAABAAAAAAAAAAL////wAAAAAgAAABBw"
    "aXhpAAAAAAMICAgAAAAYaXBtYQAAAAAAAAABAAEFgQIDBYQAAAAnbWRhdAAAABsoAa8GOIkufC/1IE///49X9l/Zs2szUwnOM/A="
)


def file_of(picture: Pillow.Image | NDArray[Any], kind: str = "PNG", **options: Any) -> bytes:
    """The picture as a file that Pillow writes."""
    buffer = io.BytesIO()
    (picture if isinstance(picture, Pillow.Image) else Pillow.fromarray(picture)).save(buffer, kind, **options)
    return buffer.getvalue()


def chunk(name: bytes, content: bytes) -> bytes:
    """A chunk of a PNG file (PNG, section 5.3)."""
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def png_of(
    pixels: NDArray[Any], *chunks: bytes, colour_type: int | None = None, size: tuple[int, int] | None = None
) -> bytes:
    """A PNG file of pixels [height, width, channels], uint8 or uint16, with further chunks before the pixels."""
    height, width, channel_count = pixels.shape
    colour_type = {1: 0, 2: 4, 3: 2, 4: 6}[channel_count] if colour_type is None else colour_type
    header = struct.pack(">IIBBBBB", *(size or (width, height)), 8 * pixels.itemsize, colour_type, 0, 0, 0)
    rows = b"".join(b"\0" + row.tobytes() for row in pixels.astype(pixels.dtype.newbyteorder(">")))
    parts = (chunk(b"IHDR", header), *chunks, chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def iccp(profile: bytes) -> bytes:
    """A chunk with a profile."""
    return chunk(b"iCCP", b"profile\0\0" + zlib.compress(profile))


def gama(gamma: float) -> bytes:
    """A chunk with the power of encoding, such as 0.45455."""
    return chunk(b"gAMA", struct.pack(">I", round(gamma * 100_000)))


def chrm(red: Sequence[float], green: Sequence[float], blue: Sequence[float], white: Sequence[float]) -> bytes:
    """A chunk with chromaticities."""
    return chunk(b"cHRM", struct.pack(">8I", *(round(value * 100_000) for value in (*white, *red, *green, *blue))))


def icc_profile(
    space: bytes, tags: Mapping[bytes, bytes], device_class: bytes = b"mntr", connection: bytes = b"XYZ "
) -> bytes:
    """An ICC profile (ICC.1:2022, section 7)."""
    common = {b"desc": b"desc\0\0\0\0\0\0\0\5test\0" + bytes(78), b"cprt": b"text\0\0\0\0none\0"}
    every = {**common, b"wtpt": xyz_tag((0.9642, 1.0, 0.8249)), **tags}
    table, body, start = b"", b"", 132 + 12 * len(every)
    for name, content in every.items():
        table += name + struct.pack(">II", start + len(body), len(content))
        body += content + bytes(-len(content) % 4)
    length = start + len(body)
    header = struct.pack(">I4sI4s4s4s", length, b"test", 0x02400000, device_class, space, connection)
    header += struct.pack(">6H", 2024, 1, 1, 0, 0, 0) + b"acsp" + bytes(28) + _s15((0.9642, 1.0, 0.8249))
    return header.ljust(128, b"\0") + struct.pack(">I", len(every)) + table + body


def rgb_profile(columns: Floats, curve: bytes, more: Mapping[bytes, bytes] | None = None) -> bytes:
    """A profile of a display: XYZ of the primaries (D50) as columns, one curve for all channels, further tags."""
    tags = {name + b"XYZ": xyz_tag(column) for name, column in zip((b"r", b"g", b"b"), columns.T, strict=True)}
    return icc_profile(b"RGB ", {**tags, b"rTRC": curve, b"gTRC": curve, b"bTRC": curve, **(more or {})})


def grey_profile(curve: bytes) -> bytes:
    """A profile of grey pixels."""
    return icc_profile(b"GRAY", {b"kTRC": curve})


def power_curve(power: float) -> bytes:
    """A curve light = level ** power (parametric type 0)."""
    return b"para\0\0\0\0\0\0\0\0" + _s15((power,))


def srgb_curve() -> bytes:
    """The curve of sRGB (parametric type 3)."""
    return b"para\0\0\0\0\0\3\0\0" + _s15((2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045))


def cmyk_profile(lab_at: Mapping[tuple[int, int, int, int], tuple[float, float, float]]) -> bytes:
    """A profile of a printer whose 16 corners of full and no ink have these L*, a*, b* (lut16Type, grid of 2)."""
    corners = [(c, m, y, k) for c in (0, 1) for m in (0, 1) for y in (0, 1) for k in (0, 1)]
    values = [
        round(value)
        for corner in corners
        for value in (
            lab_at[corner][0] * 652.8,  # ICC.1:2022, table 42: 100 is FF00h, 0 of a and b is 8000h
            (lab_at[corner][1] + 128) * 256,
            (lab_at[corner][2] + 128) * 256,
        )
    ]
    table = b"mft2\0\0\0\0\4\3\2\0" + _s15((1, 0, 0, 0, 1, 0, 0, 0, 1)) + struct.pack(">HH", 2, 2)
    table += struct.pack(">8H", *(0, 65535) * 4) + struct.pack(f">{len(values)}H", *values)
    table += struct.pack(">6H", *(0, 65535) * 3)
    return icc_profile(b"CMYK", {b"A2B0": table, b"A2B1": table}, b"prtr", b"Lab ")


def xyz_tag(values: Sequence[float] | Floats) -> bytes:
    """A tag with one XYZ colour."""
    return b"XYZ \0\0\0\0" + _s15(values)


def _s15(values: Sequence[float] | Floats) -> bytes:
    return b"".join(struct.pack(">i", round(float(value) * 65536)) for value in values)


def without_jpeg_segment(data: bytes, marker: int) -> bytes:
    """A JPEG file without the segments of one marker."""
    kept, place = data[:2], 2
    while data[place + 1] != 0xDA:
        end = place + 2 + int.from_bytes(data[place + 2 : place + 4], "big")
        kept += data[place:end] if data[place + 1] != marker else b""
        place = end
    return kept + data[place:]
