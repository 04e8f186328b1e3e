"""The table of file formats that are read: how each is recognised, and what is read of it.

``docs/inputs.md`` shows this table.
"""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Callable
from dataclasses import dataclass

from engine.api.media import ImageFormat
from engine.media.container.bmp import read_bmp
from engine.media.container.facts import FileFacts
from engine.media.container.gif import read_gif
from engine.media.container.heif import read_avif, read_heif
from engine.media.container.jpeg import read_jpeg
from engine.media.container.png import read_png
from engine.media.container.tiff import read_tiff
from engine.media.refused_files import REFUSED_FILES, RefusedRow

HEIF_PACKAGE = "pillow_heif"


@dataclass(frozen=True, slots=True)
class FormatRow:
    """A format that is read. ``pillow_names`` are those of its decoders; ``read`` reads its container.

    ``bits``, ``colours`` and ``notes`` are columns of the documentation: bits of a channel, channels and profiles, and
    what is refused of the format.
    """

    name: str
    format: ImageFormat
    starts: str
    pillow_names: tuple[str, ...]
    read: Callable[[bytes], FileFacts]
    bits: str
    colours: str
    notes: str

    @property
    def with_article(self) -> str:
        """The name with its article, for sentences."""
        return f"{'an' if self.name[0] in 'AEIO' else 'a'} {self.name}"


# ``starts`` are regular expressions on the first bytes (Latin-1), with DOTALL.
READ_FORMATS: tuple[FormatRow, ...] = (
    FormatRow(
        "PNG",
        ImageFormat.PNG,
        r"\x89PNG\r\n\x1a\n",
        ("PNG",),
        read_png,
        "1, 2, 4, 8, 16",
        "grey, RGB, palette; transparency; cICP, else iCCP, else sRGB, else gAMA with cHRM",
        "animations are refused",
    ),
    FormatRow(
        "JPEG",
        ImageFormat.JPEG,
        r"\xff\xd8\xff",
        ("JPEG", "MPO"),  # MPO: a gain map or a depth map behind the photograph of a telephone
        read_jpeg,
        "8",
        "grey, YCbCr, RGB, CMYK, YCCK; ICC",
        "of several pictures in one file the first is used; more than 100 scans are refused",
    ),
    FormatRow(
        "WebP",
        ImageFormat.WEBP,
        r"RIFF....WEBP",
        ("WEBP",),
        FileFacts,
        "8",
        "RGB; transparency; ICC",
        "animations are refused",
    ),
    FormatRow(
        "GIF",
        ImageFormat.GIF,
        r"GIF8[79]a",
        ("GIF",),
        read_gif,
        "8",
        "palette; transparency",
        "animations are refused",
    ),
    FormatRow(
        "BMP",
        ImageFormat.BMP,
        r"BM.{12}[\x0c\x28\x34\x38\x40\x6c\x7c]\0\0\0",
        ("BMP",),
        read_bmp,
        "1, 4, 5 and 6 (16 a pixel), 8",
        "palette, RGB; transparency; ICC",
        "compressed ones are refused",
    ),
    FormatRow(
        "TIFF",
        ImageFormat.TIFF,
        r"II\*\0|MM\0\*",
        ("TIFF",),
        read_tiff,
        "1, 2, 4, 8, 12 (grey), 16",
        "grey, palette, RGB, YCbCr, CMYK, Lab; transparency; ICC",
        "of several pages the first is used, with a finding; without compression, or with LZW, Deflate, PackBits or "
        "JPEG; camera raw files, float, signed and 32-bit numbers are refused",
    ),
    FormatRow(
        "AVIF",
        ImageFormat.AVIF,
        r"....ftyp(?:avi[fs]|mi[fa][f1].{4,40}?avi[fs])",
        ("AVIF",),
        read_avif,
        "8, 10, 12",
        "grey, RGB; transparency; ICC, else nclx",
        "animations are refused",
    ),
    FormatRow(
        "HEIC",
        ImageFormat.HEIF,
        r"....ftyp(?:hei[cxms]|hev[cmsx]|mif1|msf1)",
        ("HEIF",),
        read_heif,
        "8, 10, 12",
        "grey, RGB; transparency; ICC, else nclx",
        "only where the server has the extra `heif`; else the picture is refused. Sequences are refused",
    ),
)

HEIF_MISSING = "is a HEIC picture, which this server is not set up to read; save it as JPEG, or install the extra heif"

_LONGEST_START = 1200  # bytes that a pattern looks at


def recognise(data: bytes) -> FormatRow | RefusedRow:
    """The first row whose start the data has."""
    start = data[:_LONGEST_START].decode("latin-1")
    return next(row for row, pattern in _PATTERNS if pattern.match(start))  # the last row takes everything


def reads_heif() -> bool:
    """True if the package that decodes HEIC is installed."""
    return importlib.util.find_spec(HEIF_PACKAGE) is not None


_ROWS: tuple[FormatRow | RefusedRow, ...] = (*READ_FORMATS, *REFUSED_FILES)
_PATTERNS = tuple((row, re.compile(f"(?:{row.starts})", re.DOTALL)) for row in _ROWS)
