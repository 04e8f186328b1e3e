"""Kinds of files that are refused, each by its name and with a remedy. ``docs/inputs.md`` shows this table."""

from __future__ import annotations

from dataclasses import dataclass

SEND_ONE = "send a PNG, JPEG, WebP, GIF, BMP, TIFF or AVIF file"
_SAVE_AS = "save it as PNG or JPEG"


@dataclass(frozen=True, slots=True)
class RefusedRow:
    """A kind of file that is refused. ``description`` completes the sentence "the picture …"."""

    name: str
    starts: str
    description: str


_LETTER = r"(?:[\t\n\r -~]|[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3})"  # UTF-8
_TEXT = r"(?:\xef\xbb\xbf)?\s*"
REFUSED_FILES: tuple[RefusedRow, ...] = (
    RefusedRow("empty file", r"\Z", f"is empty; {SEND_ONE}"),
    RefusedRow("zeros", r"\0{64}|\0*\Z", "holds only zeros at its start; send the file itself"),
    RefusedRow("JPEG XL", r"\xff\x0a|\0\0\0\x0cJXL \r\n\x87\n", f"is a JPEG XL file; {_SAVE_AS}"),
    RefusedRow("JPEG 2000", r"\0\0\0\x0cjP  \r\n\x87\n|\xff\x4f\xff\x51", f"is a JPEG 2000 file; {_SAVE_AS}"),
    RefusedRow(
        "camera raw",
        r"....ftypcrx |FUJIFILMCCD-RAW|IIU\0|II(?:RO|RS)|MMOR|II.{4}HEAPCCDR|FOVb",
        "is a camera raw file; develop it and save it as JPEG, PNG or TIFF",
    ),
    RefusedRow("BigTIFF", r"II\+\0|MM\0\+", "is a BigTIFF file; save it as TIFF or PNG"),
    RefusedRow("Photoshop", r"8BPS", f"is a Photoshop document; {_SAVE_AS}"),
    RefusedRow("OpenEXR, Radiance HDR", r"v/1\x01|#\?RADIANCE|#\?RGBE", f"is an HDR picture of floats; {_SAVE_AS}"),
    RefusedRow("ICO", r"\0\0[\x01\x02]\0", f"is a Windows icon or cursor; {_SAVE_AS}"),
    RefusedRow("PNM, QOI, DDS", r"P[1-7fF]\s|qoif|DDS ", f"is a PNM, QOI or DDS picture; {_SAVE_AS}"),
    RefusedRow(
        "video",
        r"....(?:ftyp|moov|mdat|wide|free|skip)|\x1aE\xdf\xa3|RIFF....AVI |\0\0\x01[\xb0-\xbf]|FLV\x01|OggS",
        "is a video; send one still picture, for example one frame saved as PNG",
    ),
    RefusedRow("audio", r"ID3|RIFF....WAVE|fLaC", f"is a sound file; {SEND_ONE}"),
    RefusedRow("PDF, PostScript", r"%PDF-|%!PS", "is a PDF or PostScript document; export the page as PNG"),
    RefusedRow(
        "archive", r"PK\x03\x04|\x1f\x8b|7z\xbc\xaf|Rar!", "is an archive or an Office document; send the picture"
    ),
    RefusedRow("git-lfs pointer", r"version https://git-lfs", "is a git-lfs pointer, not the file; run git lfs pull"),
    RefusedRow(
        "SVG",
        _TEXT + r"(?:<\?xml.{0,400}?)?(?:<!--.{0,400}?)?(?:<!DOCTYPE svg.{0,200}?)?<svg",
        "is an SVG drawing; render it and save it as PNG",
    ),
    RefusedRow(
        "HTML",
        _TEXT + r"(?i:<!doctype html|<html|<head|<body)",
        "is an HTML page, not the picture on it; download the picture itself",
    ),
    RefusedRow(
        "data URL", _TEXT + r"data:[^,]{0,200},", "is a data URL; decode it and send the bytes behind the comma"
    ),
    RefusedRow(
        "base64 text",
        _TEXT + r"(?:iVBORw0KGgo|/9j/|UklGR|R0lGOD|SUkqA|TU0AK|AAAA[A-Za-z0-9+/]GZ0eX)",
        "is base64 text; decode it and send the bytes",
    ),
    RefusedRow(
        "address", _TEXT + r"(?:https?|file|s3|gs)://", "is an address, not a file; download it and send its bytes"
    ),
    RefusedRow("text", rf"{_TEXT}(?:{_LETTER}{{200}}|{_LETTER}+\Z)", f"is text, not a picture; {SEND_ONE}"),
    RefusedRow("anything else", r"", f"is no picture of a known format; {SEND_ONE}"),
)
