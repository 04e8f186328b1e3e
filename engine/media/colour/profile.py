"""ICC profiles: which are used, and profiles made for colour spaces that a file names by number.

Layout of a profile: ICC.1:2022, sections 7.2 (header), 7.3 (tag table), 10 (types of tags).
"""

from __future__ import annotations

import struct

import numpy as np

from engine.api.picture_report import PictureIssue
from engine.media.colour.space import Chromaticities, ColourSpace, Floats

MAX_PROFILE_BYTES = 4 * 1024 * 1024  # profiles of printers have 0.5 to 3 MB
_HEADER_BYTES = 128
_MAX_TAG_COUNT = 200
_CLASSES = frozenset({b"scnr", b"mntr", b"prtr", b"spac"})  # not device links, abstract and named-colour profiles
_SPACES_BY_MODE = {"L": {b"GRAY", b"RGB "}, "RGB": {b"RGB "}, "CMYK": {b"CMYK"}}
# Optional tags, whose chains of elements may be as long as their writer likes. Without them lcms reads the A2B tags.
_TAGS_OF_CHAINS = frozenset({b"D2B0", b"D2B1", b"D2B2", b"D2B3"})
_D50 = np.array([0.9642, 1.0, 0.8249])
_BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])


def checked_profile(profile: bytes, mode: str) -> bytes | PictureIssue:
    """The profile as lcms may read it, for pixels of ``mode`` (L, RGB or CMYK), or why it is not used."""
    if not _HEADER_BYTES + 4 <= len(profile) <= MAX_PROFILE_BYTES or profile[36:40] != b"acsp":
        return PictureIssue.PROFILE_DAMAGED
    size, tag_count = struct.unpack_from(">I", profile)[0], struct.unpack_from(">I", profile, _HEADER_BYTES)[0]
    if not _HEADER_BYTES <= size <= len(profile) or not 0 < tag_count <= _MAX_TAG_COUNT:
        return PictureIssue.PROFILE_DAMAGED
    if profile[12:16] not in _CLASSES or profile[16:20] not in _SPACES_BY_MODE[mode]:
        return PictureIssue.PROFILE_MISMATCHED
    kept = bytearray(profile[:size])
    for tag in range(tag_count):
        place = _HEADER_BYTES + 4 + 12 * tag
        if bytes(kept[place : place + 4]) in _TAGS_OF_CHAINS:
            kept[place : place + 4] = b"none"
    return bytes(kept)


def is_grey(profile: bytes) -> bool:
    """True for a profile of grey pixels."""
    return profile[16:20] == b"GRAY"


def matrix_profile(space: ColourSpace) -> bytes | None:
    """A display profile of ``space``, its curve exact at 256 levels; None if the chromaticities span no space."""
    columns = _columns(space.points)
    if columns is None:
        return None
    levels = np.round(65535.0 * space.light(256)).astype(">u2")
    curve = b"curv\0\0\0\0" + struct.pack(">I", len(levels)) + levels.tobytes()
    name = b"text\0\0\0\0none\0"
    tags = {b"cprt": name, b"desc": b"desc\0\0\0\0" + struct.pack(">I", 1) + bytes(79), b"wtpt": _xyz(_D50)}
    for letter, column in zip((b"r", b"g", b"b"), columns.T, strict=True):
        tags |= {letter + b"XYZ": _xyz(column), letter + b"TRC": curve}
    table, body = b"", b""
    start = _HEADER_BYTES + 4 + 12 * len(tags)
    for tag, content in tags.items():
        table += tag + struct.pack(">II", start + len(body), len(content))
        body += content + bytes(-len(content) % 4)
    header = struct.pack(
        ">I4sI4s4s4s12x4s28x", start + len(body), bytes(4), 0x02100000, b"mntr", b"RGB ", b"XYZ ", b"acsp"
    )
    header += _s15fixed16(_D50)
    return header.ljust(_HEADER_BYTES, b"\0") + struct.pack(">I", len(tags)) + table + body


def _columns(points: Chromaticities) -> Floats | None:
    """XYZ of the primaries as columns, adapted to D50 by Bradford's matrix (ICC.1:2022, annex E)."""
    primaries = (points.red, points.green, points.blue)
    x, y = points.white
    directions = np.array([[x, y, 1.0 - x - y] for x, y in primaries]).T
    if y < 1e-3 or abs(np.linalg.det(directions)) < 1e-3:
        return None
    white = np.array([x / y, 1.0, (1.0 - x - y) / y])
    cones = _BRADFORD @ white
    if cones.min() < 1e-3:
        return None
    adapted: Floats = np.linalg.inv(_BRADFORD) @ np.diag((_BRADFORD @ _D50) / cones) @ _BRADFORD
    columns: Floats = adapted @ directions * np.linalg.solve(directions, white)
    return columns if np.abs(columns).max() < 4.0 else None


def _xyz(values: Floats) -> bytes:
    return b"XYZ \0\0\0\0" + _s15fixed16(values)


def _s15fixed16(values: Floats) -> bytes:
    return np.round(65536.0 * values).astype(">i4").tobytes()
