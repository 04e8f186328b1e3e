"""Every row of the table of formats: a file of each is sent, and what happens is what the page says."""

from __future__ import annotations

import base64
import importlib.util
import struct
import zlib

import numpy as np
import pytest
from PIL import Image as Pillow

from engine.api.capabilities import Limits
from engine.api.errors import InvalidJob
from engine.api.media import Image, ImageFormat
from engine.api.picture_report import PictureIssue
from engine.media import picture as picture_module
from engine.media.formats import HEIF_MISSING, HEIF_PACKAGE, READ_FORMATS, FormatRow, recognise
from engine.media.picture import DecodedPicture, decode_picture
from engine.media.refused_files import REFUSED_FILES
from scripts.docs_tables import DOCUMENTATION, updated
from tests.picture_files import HEIC_FILE, chunk, file_of, png_of

_PLAIN = Pillow.new("RGB", (64, 48), (200, 40, 30))
_HAS_HEIF = importlib.util.find_spec(HEIF_PACKAGE) is not None
READ_FILES: dict[str, list[bytes]] = {
    "PNG": [file_of(_PLAIN.convert(mode)) for mode in ("1", "L", "LA", "P", "RGB", "RGBA", "I;16")],
    "JPEG": [file_of(_PLAIN.convert(mode), "JPEG") for mode in ("L", "RGB", "YCbCr", "CMYK")],
    "WebP": [file_of(_PLAIN.convert(mode), "WEBP") for mode in ("RGB", "RGBA")],
    "GIF": [file_of(_PLAIN, "GIF"), file_of(_PLAIN.convert("P"), "GIF", transparency=0)],
    "BMP": [file_of(_PLAIN.convert(mode), "BMP") for mode in ("1", "L", "P", "RGB", "RGBA")],
    "TIFF": [
        *(file_of(_PLAIN.convert(mode), "TIFF") for mode in ("1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16")),
        *(file_of(_PLAIN, "TIFF", compression=name) for name in ("tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg")),
        file_of(_PLAIN.convert("YCbCr"), "TIFF"),
    ],
    "AVIF": [file_of(_PLAIN.convert(mode), "AVIF") for mode in ("L", "RGB", "RGBA")],
    "HEIC": [HEIC_FILE],
}
_FTYP = b"\0\0\0\x1cftyp"
REFUSED: dict[str, list[bytes]] = {
    "empty file": [b""],
    "zeros": [bytes(9), bytes(1000)],
    "JPEG XL": [b"\xff\x0a" + bytes(50), b"\0\0\0\x0cJXL \r\n\x87\n" + bytes(50)],
    "JPEG 2000": [file_of(_PLAIN, "JPEG2000"), b"\xff\x4f\xff\x51" + bytes(50)],
    "camera raw": [
        _FTYP + b"crx \0\0\0\1crx isom",
        b"FUJIFILMCCD-RAW 0201",
        b"IIU\0" + bytes(30),
        b"IIRO" + bytes(30),
        b"FOVb" + bytes(30),
    ],
    "BigTIFF": [b"II+\0\x08\0\0\0" + bytes(20), b"MM\0+\0\x08\0\0" + bytes(20)],
    "Photoshop": [b"8BPS\0\1" + bytes(40)],
    "OpenEXR, Radiance HDR": [b"v/1\x01\2\0\0\0", b"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n"],
    "ICO": [file_of(_PLAIN, "ICO")],
    "PNM, QOI, DDS": [file_of(_PLAIN, "PPM"), file_of(_PLAIN, "QOI"), file_of(_PLAIN, "DDS")],
    "video": [
        _FTYP + b"isom\0\0\2\0isomiso2mp41",
        _FTYP + b"qt  \0\0\2\0qt  ",
        b"\x1aE\xdf\xa3\x01\0\0\0webm",
        b"RIFF\0\0\0\0AVI LIST",
        b"\0\0\1\xba" + bytes(20),
    ],
    "audio": [b"ID3\3\0", b"RIFF\0\0\0\0WAVEfmt "],
    "PDF, PostScript": [b"%PDF-1.7\n", b"%!PS-Adobe-3.0\n"],
    "archive": [b"PK\x03\x04" + bytes(30), b"\x1f\x8b\x08\0"],
    "git-lfs pointer": [b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"],
    "SVG": [
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b'<?xml version="1.0"?>\n<!-- made by hand -->\n<svg width="9">',
    ],
    "HTML": [b"<!DOCTYPE html><html><img src=a.png></html>", b"\n <html>"],
    "data URL": [b"data:image/jpeg;base64,/9j/4AAQSkZJRg=="],
    "base64 text": [base64.b64encode(file_of(_PLAIN, kind)) for kind in ("PNG", "JPEG", "WEBP", "GIF", "TIFF", "AVIF")],
    "address": [b"https://example.org/cat.png", b"s3://bucket/cat.png\n"],
    "text": [b"a cat", "一只猫".encode(), b'{"picture": 1}', b"word " * 900],
    "anything else": [bytes(range(128, 256)) * 4, b"\x89PNG"],
}


def _decoded(data: bytes) -> DecodedPicture:
    return decode_picture(Image(data), Limits())


def _said(data: bytes) -> str:
    with pytest.raises(InvalidJob) as refused:
        _decoded(data)
    (violation,) = refused.value.violations
    return violation.description


def test_the_page_shows_the_table_of_the_code() -> None:
    page = (DOCUMENTATION / "inputs.md").read_text(encoding="utf-8")
    assert updated("inputs.md", page) == page, "run python -m scripts.docs_tables"


def test_every_row_has_its_files() -> None:
    assert list(READ_FILES) == [row.name for row in READ_FORMATS]
    assert list(REFUSED) == [row.name for row in REFUSED_FILES]


@pytest.mark.parametrize("row", READ_FORMATS, ids=lambda row: row.name)
def test_what_the_page_says_is_read(row: FormatRow) -> None:
    for data in READ_FILES[row.name]:
        assert recognise(data) is row
        if row.format is ImageFormat.HEIF and not _HAS_HEIF:
            assert _said(data) == HEIF_MISSING
            continue
        decoded = _decoded(data)
        assert (decoded.format, decoded.upright.mode, decoded.upright.size) == (row.format, "RGB", (64, 48))


@pytest.mark.parametrize(("name", "data"), [(name, data) for name, files in REFUSED.items() for data in files])
def test_what_is_refused_is_named(name: str, data: bytes) -> None:
    (row,) = (row for row in REFUSED_FILES if row.name == name)
    assert _said(data) == row.description


@pytest.mark.parametrize("kind", ["RGB", "GIF", "BMP", "TIFF", "WEBP", "AVIF"])
def test_the_colour_of_a_plain_picture(kind: str) -> None:
    found = np.asarray(_decoded(file_of(_PLAIN, "PNG" if kind == "RGB" else kind)).upright)
    assert np.abs(found.astype(int) - (200, 40, 30)).max() <= 3


def test_heic_without_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(picture_module, "reads_heif", lambda: False)
    assert _said(HEIC_FILE) == HEIF_MISSING


@pytest.mark.parametrize("count", [2, 12])
def test_frames_of_a_gif_are_counted(count: int) -> None:
    frames = [Pillow.new("RGB", (9, 9), (20 * index, 0, 0)) for index in range(count)]
    said = _said(file_of(frames[0], "GIF", save_all=True, append_images=frames[1:]))
    assert said == f"is a GIF animation of {count} frames; send one still picture"


def test_a_gif_of_any_number_of_frames_is_counted_to_a_thousand() -> None:
    still = file_of(Pillow.new("P", (9, 9)), "GIF")
    frame = still[still.index(b",\0\0\0\0") : -1]
    assert (
        _said(still[:-1] + frame * 5000 + b";") == "is a GIF animation of 1000 or more frames; send one still picture"
    )


def test_pages_of_a_tiff_are_told() -> None:
    pages = [Pillow.new("RGB", (9, 9), colour) for colour in ("red", "green", "blue")]
    decoded = _decoded(file_of(pages[0], "TIFF", save_all=True, append_images=pages[1:]))
    assert (decoded.page_count, decoded.issues) == (3, (PictureIssue.PAGES,))
    assert decoded.upright.getpixel((4, 4)) == (255, 0, 0)


@pytest.mark.parametrize(
    ("compression", "name"), [("group4", "fax"), ("tiff_ccitt", "CCITT"), ("lzma", "LZMA"), ("zstd", "Zstandard")]
)
def test_rare_compressions_of_tiff_are_named(compression: str, name: str) -> None:
    mode = "1" if compression in {"group4", "tiff_ccitt"} else "RGB"
    data = file_of(_PLAIN.convert(mode), "TIFF", compression=compression)
    assert _said(data) == f"is a TIFF file with the compression {name}; save it with LZW or Deflate, or as PNG"


def test_numbers_of_32_bits_in_a_tiff_are_named() -> None:
    said = _said(file_of(Pillow.new("F", (9, 9)), "TIFF"))
    assert said == "is a TIFF file with 32 bits a channel as float or signed numbers; save it with 8 or 16 bits"


def test_a_camera_raw_file_in_the_layout_of_tiff_is_named() -> None:
    entries = struct.pack("<HHIBBBB", 50706, 1, 4, 1, 4, 0, 0)
    data = b"II*\0" + struct.pack("<IH", 8, 1) + entries + bytes(4)
    assert _said(data) == "is a camera raw file; develop it and save it as JPEG, PNG or TIFF"


def test_a_compressed_bmp_is_named() -> None:
    data = bytearray(file_of(_PLAIN.convert("P"), "BMP"))
    data[30] = 1
    assert _said(bytes(data)) == "is a compressed BMP file; save it without compression, or as PNG"


def test_a_jpeg_of_a_thousand_scans_is_refused() -> None:
    data = file_of(_PLAIN, "JPEG", progressive=True)
    start = data.rindex(b"\xff\xda")
    said = _said(data[:start] + data[start:-2] * 1000 + b"\xff\xd9")
    assert said == "is a JPEG file of more than 100 scans; save it again"


def test_a_huge_text_in_a_png_is_no_reason_to_refuse_it() -> None:
    """A program's notes of 40 MB, packed; the decoder alone would refuse the file."""
    notes = chunk(b"zTXt", b"workflow\0\0" + zlib.compress(bytes(40_000_000)))
    assert _decoded(png_of(np.asarray(_PLAIN), notes)).upright.getpixel((0, 0)) == (200, 40, 30)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP", "AVIF"])
def test_bytes_behind_a_picture_are_left(kind: str) -> None:
    found = _decoded(file_of(_PLAIN, kind) + bytes(range(256)) * 20).upright
    np.testing.assert_array_equal(np.asarray(found), np.asarray(_decoded(file_of(_PLAIN, kind)).upright))
