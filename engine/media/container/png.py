"""Chunks of a PNG file that state its colours (PNG third edition, sections 4.3 and 11.3.2).

The decoder gets the file without them, and without texts: what is wrong with either is no reason to refuse a picture.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator, Mapping

from engine.api.picture_report import PictureIssue
from engine.media.colour.conversion import ColourTag
from engine.media.colour.profile import MAX_PROFILE_BYTES
from engine.media.colour.space import Chromaticities, space_of_codes, space_of_gamma
from engine.media.container.facts import FileFacts

_SIGNATURE_BYTES = 8
_DEPTH_OFFSET = 24  # signature 8, chunk's length and name 8, width and height 8
_COLOURS = (b"cICP", b"iCCP", b"sRGB", b"gAMA", b"cHRM")
_TEXTS = frozenset({b"tEXt", b"zTXt", b"iTXt"})
_ORIENTED = (b"XML:com.adobe.xmp\0", b"Raw profile type exif\0")  # texts that may hold the orientation
_MOST_TEXT_BYTES = 64 * 1024
_FULL_RANGE = 1

Chunk = tuple[bytes, int, int]  # name, start and end of the whole chunk in the file


def read_png(data: bytes) -> FileFacts:
    """Facts of a PNG file. The first of cICP, iCCP, sRGB, gAMA with cHRM that is understood states the colours."""
    kept, place = [data[:_SIGNATURE_BYTES]], _SIGNATURE_BYTES
    colours: dict[bytes, bytes] = {}
    is_before_pixels = True
    for name, start, end in _chunks(data):
        is_before_pixels = is_before_pixels and name != b"IDAT"
        content = data[start + 8 : end - 4] if name in _COLOURS or name in _TEXTS else b""
        if name in _COLOURS and is_before_pixels:
            colours.setdefault(name, content)
        if name not in _COLOURS and (name not in _TEXTS or _may_orient(content)):
            kept.append(data[start:end])
        place = end
    tag, issues = _tag(colours)
    depth = data[_DEPTH_OFFSET] if len(data) > _DEPTH_OFFSET else 8
    return FileFacts(b"".join((*kept, data[place:])), bit_count=depth, tag=tag, issues=issues)


def _chunks(data: bytes) -> Iterator[Chunk]:
    place = _SIGNATURE_BYTES
    while place + 12 <= len(data):
        length, name = struct.unpack_from(">I4s", data, place)
        if place + 12 + length > len(data):
            return
        yield name, place, place + 12 + length
        place += 12 + length


def _may_orient(text: bytes) -> bool:
    return len(text) <= _MOST_TEXT_BYTES and text.startswith(_ORIENTED) and not _is_bomb(text)


def _is_bomb(text: bytes) -> bool:
    """True if the compressed part of a zTXt or iTXt text, wherever it begins, is longer than Pillow takes."""
    _, _, rest = text.partition(b"\0")
    if len(rest) <= _MOST_TEXT_BYTES // 64:
        return False  # deflate packs at most about 1,000 to 1, and 1 MB is what Pillow takes
    start = rest.find(b"\x78")  # the first byte of a zlib stream with a window of 32 kB
    return start >= 0 and len(_inflated(rest[start:], _MOST_TEXT_BYTES)) >= _MOST_TEXT_BYTES


def _inflated(packed: bytes, most_bytes: int) -> bytes:
    try:
        return zlib.decompressobj().decompress(packed, most_bytes)
    except zlib.error:
        return b""


def _tag(colours: Mapping[bytes, bytes]) -> tuple[ColourTag, tuple[PictureIssue, ...]]:
    issues: tuple[PictureIssue, ...] = ()
    if b"cICP" in colours:
        codes = colours[b"cICP"]
        space = space_of_codes(codes[0], codes[1]) if len(codes) == 4 and codes[3] == _FULL_RANGE else None
        if space is not None and codes[2] == 0:
            return space, ()
        issues = (PictureIssue.PROFILE_DAMAGED,)
    if b"iCCP" in colours:
        profile = _profile(colours[b"iCCP"])
        if profile:
            return profile, issues
        issues = (PictureIssue.PROFILE_DAMAGED,)
    if b"sRGB" in colours or b"gAMA" not in colours:
        return None, issues
    gamma, points = colours[b"gAMA"], colours.get(b"cHRM")
    space = None
    if len(gamma) == 4:
        space = space_of_gamma(struct.unpack(">I", gamma)[0] / 100_000, _points(points) if points else None)
    return space, issues if space is not None else (PictureIssue.PROFILE_DAMAGED,)


def _profile(content: bytes) -> bytes:
    """The profile of an iCCP chunk; empty if damaged or longer than ``MAX_PROFILE_BYTES``."""
    _, _, rest = content.partition(b"\0")
    profile = _inflated(rest[1:], MAX_PROFILE_BYTES + 1)
    return profile if len(profile) <= MAX_PROFILE_BYTES else b""


def _points(content: bytes) -> Chromaticities | None:
    if len(content) != 32:
        return None
    x = [value / 100_000 for value in struct.unpack(">8I", content)]
    white, red, green, blue = ((x[index], x[index + 1]) for index in (0, 2, 4, 6))
    return Chromaticities(red, green, blue, white)
