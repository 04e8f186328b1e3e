"""Files that promise little and hold much, and headers with changed bytes: memory is bounded."""

from __future__ import annotations

import io
import re
import struct
import subprocess
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow

from tests.picture_files import HEIC_FILE, chunk, file_of, iccp, png_of, power_curve, rgb_profile

_MIB = 2**20
_ALLOWED_GROWTH_BYTES = 256 * _MIB
_MUTANT_COUNT = 720
_REACH_BYTES = 400  # headers
pytestmark = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="peak memory is read from /proc")

# Runs in a process of its own, whose peak memory is that of these files alone. Prints growth and number of refusals.
_DECODE = """
import re, struct, sys, warnings
from pathlib import Path
from engine.api.capabilities import Limits
from engine.api.errors import InvalidJob
from engine.api.media import Image
from engine.media.picture import decode_picture

def peak_bytes():
    return int(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]) * 1024

warnings.simplefilter("ignore")
stream, refused = sys.stdin.buffer.read(), 0
place, before = 0, peak_bytes()
while place < len(stream):
    (length,) = struct.unpack_from(">I", stream, place)
    data, place = stream[place + 4 : place + 4 + length], place + 4 + length
    try:
        decode_picture(Image(data), Limits())
    except InvalidJob:
        refused += 1
print(peak_bytes() - before, refused)
"""


def _outcome(files: list[bytes]) -> tuple[int, int]:
    """Growth of the peak memory in bytes while these files are decoded one by one, and how many are refused."""
    warm = [file_of(Pillow.new("RGB", (9, 9)), kind) for kind in ("PNG", "TIFF", "AVIF", "GIF")]
    stream = b"".join(struct.pack(">I", len(data)) + data for data in (*warm, *files))
    run = subprocess.run(
        [sys.executable, "-c", _DECODE],
        input=stream,
        capture_output=True,
        check=False,
        timeout=240,
        cwd=Path(__file__).parents[1],
    )
    assert run.returncode == 0, run.stderr.decode()[-2000:]
    growth, refused = re.findall(rb"\d+", run.stdout)
    return int(growth), int(refused)


def _tiff(width: int, height: int, *more: tuple[int, int]) -> bytes:
    """A grey TIFF with one strip of 10 bytes, and further tags of type LONG."""
    tags = {256: width, 257: height, 258: 8, 259: 8, 262: 1, 273: 8, 277: 1, 278: height, 279: 10, **dict(more)}
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in sorted(tags.items()))
    return (
        b"II*\0"
        + struct.pack("<I", 18)
        + zlib.compress(b"")[:2]
        + bytes(8)
        + struct.pack("<H", len(tags))
        + entries
        + bytes(4)
    )


def _gif(screen: tuple[int, int], frame: tuple[int, int], disposal: int = 2) -> bytes:
    control = b"!\xf9\x04" + bytes((disposal << 2, 0, 0, 0, 0))
    return (
        b"GIF89a"
        + struct.pack("<HHBBB", *screen, 0x80, 0, 0)
        + bytes(6)
        + control
        + b","
        + struct.pack("<HHHHB", 0, 0, *frame, 0)
        + b"\2\2\x4c\1\0;"
    )


def _avif_that_lies() -> bytes:
    """An AVIF whose container says 64x64 and whose frame has 4096x4096 pixels."""
    data = bytearray(file_of(Pillow.new("L", (4096, 4096), 90), "AVIF", speed=10))
    place = data.index(b"ispe") + 8
    data[place : place + 8] = struct.pack(">II", 64, 64)
    return bytes(data)


def _bombs() -> Iterator[tuple[str, bytes]]:
    tiny = np.zeros((8, 8, 3), np.uint8)
    yield "PNG of 30,000 x 30,000", png_of(tiny, size=(30_000, 30_000))
    yield "PNG of 7,000 x 7,000 without pixels", png_of(tiny, size=(7_000, 7_000))
    yield "PNG with a text of 256 MiB", png_of(tiny, chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(2**28), 9)))
    yield (
        "PNG with metadata of 256 MiB",
        png_of(tiny, chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(bytes(2**28), 9))),
    )
    yield "PNG with a profile of 512 MiB", png_of(tiny, chunk(b"iCCP", b"a\0\0" + zlib.compress(bytes(2**29), 9)))
    curve = b"curv\0\0\0\0" + struct.pack(">I", 2**31 - 1)
    yield "a curve of two thousand million points", png_of(tiny, iccp(rgb_profile(np.eye(3), curve)))
    table = b"mft1\0\0\0\0\3\3\xff\0" + power_curve(1.0) + bytes(500)
    yield (
        "a table of 255 ^ 3 points",
        png_of(tiny, iccp(rgb_profile(np.eye(3), power_curve(1.0), {b"A2B0": table, b"A2B1": table}))),
    )
    yield "TIFF of 60,000 x 60,000", _tiff(60_000, 60_000)
    yield "TIFF of 7,000 x 7,000 without pixels", _tiff(7_000, 7_000)
    yield "TIFF with one tile of 65,520 x 65,520", _tiff(64, 64, (322, 65_520), (323, 65_520), (324, 8), (325, 10))
    yield "TIFF whose pages are a ring", _tiff(64, 64)[:-4] + struct.pack("<I", 18)
    yield "GIF of 65,535 x 65,535", _gif((65_535, 65_535), (1, 1))
    yield "GIF with a frame of 65,535 x 65,535", _gif((8, 8), (65_535, 65_535))
    bmp = bytearray(file_of(Pillow.new("RGB", (8, 8)), "BMP"))
    bmp[18:26] = struct.pack("<ii", 40_000, -40_000)
    yield "BMP of 40,000 x 40,000", bytes(bmp)
    bmp[18:26] = struct.pack("<ii", 7_000, 7_000)
    yield "BMP of 7,000 x 7,000 without pixels", bytes(bmp)
    yield "AVIF with a frame larger than it says", _avif_that_lies()
    webp = bytearray(file_of(Pillow.new("RGBA", (8, 8)), "WEBP"))
    yield "WebP of 16,384 x 16,384", bytes(webp[:24]) + b"\xff\x3f\0\xff\x3f\0" + bytes(webp[30:])


_BOMBS = dict(_bombs())


@pytest.mark.parametrize("name", _BOMBS)
def test_a_bomb_takes_no_memory(name: str) -> None:
    growth, refused = _outcome([_BOMBS[name]])
    assert growth < 64 * _MIB
    has_picture = name.startswith(("a ", "PNG with"))
    assert refused == (not has_picture)


def _mutants() -> Iterator[bytes]:
    """Files of every format with some bytes of their headers changed; half of the changes are extreme values."""
    draw = np.random.default_rng(7)
    colours = draw.integers(0, 256, (48, 64, 3), dtype=np.uint8)
    profile = rgb_profile(np.array([[0.52, 0.29, 0.16], [0.24, 0.69, 0.07], [0.0, 0.04, 0.78]]), power_curve(2.2))
    whole = [file_of(colours, kind, icc_profile=profile) for kind in ("PNG", "JPEG", "WEBP", "TIFF", "AVIF")]
    whole += [file_of(colours, kind) for kind in ("GIF", "BMP", "TIFF")]
    whole += [file_of(colours, "TIFF", compression=name) for name in ("tiff_lzw", "jpeg")]
    whole += [png_of(draw.integers(0, 65536, (48, 64, 4)).astype(np.uint16)), HEIC_FILE]
    for index in range(_MUTANT_COUNT):
        data = bytearray(whole[index % len(whole)])
        for _ in range(draw.integers(1, 4)):
            place = int(draw.integers(0, min(_REACH_BYTES, len(data) - 4)))
            value = draw.choice([b"\xff\xff", b"\x7f\xff\xff\xff", b"\0\0", b"\x40\x1f", b"\0\0\x20\0", draw.bytes(2)])
            data[place : place + len(value)] = bytes(value)
        yield bytes(data)


def test_changed_headers_are_refused_or_decoded_in_bounded_memory() -> None:
    growth, refused = _outcome(list(_mutants()))
    assert growth < _ALLOWED_GROWTH_BYTES
    assert _MUTANT_COUNT * 0.2 < refused < _MUTANT_COUNT  # some changes do no harm


def test_a_flat_picture_of_fifty_megapixels_takes_its_pixels_and_those_of_the_result() -> None:
    """Pillow keeps 4 bytes a pixel: 200 MB as decoded, 200 MB in sRGB, and a band."""
    buffer = io.BytesIO()
    profile = rgb_profile(np.array([[0.52, 0.29, 0.16], [0.24, 0.69, 0.07], [0.0, 0.04, 0.78]]), power_curve(2.2))
    Pillow.new("RGBA", (7_000, 7_000), (9, 9, 9, 128)).save(buffer, "PNG", icc_profile=profile, compress_level=1)
    growth, refused = _outcome([buffer.getvalue()])
    assert refused == 0
    assert growth < 460 * _MIB
