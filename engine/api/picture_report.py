"""The report on a picture file: measurements, issues, findings."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from engine.api.media import Box, ImageFormat
from engine.api.prompt_report import Severity


class PictureIssue(enum.Enum):
    """Properties of a picture that may spoil a clip."""

    SMALL = "small"
    LONG = "long"
    ROTATED = "rotated"
    TRANSPARENT = "transparent"
    CMYK = "cmyk"
    SIXTEEN_BIT = "sixteen_bit"
    PAGES = "pages"
    CONVERTED = "converted"
    HDR = "hdr"
    PROFILE_DAMAGED = "profile_damaged"
    PROFILE_MISMATCHED = "profile_mismatched"
    BLURRED = "blurred"
    BLOCKY = "blocky"
    LETTERING = "lettering"


@dataclass(frozen=True, slots=True)
class PictureFinding:
    """Advice on a picture: a row of ``findings.toml`` in one language.

    ``boxes`` locates findings that have a place, in pixels of the picture.
    """

    code: str
    severity: Severity
    message: str
    suggestion: str
    boxes: tuple[Box, ...] = ()


@dataclass(frozen=True, slots=True)
class PictureReport:
    """Measurements and findings of a picture file. Width and height are those of the upright picture.

    ``sharpness`` is the variance of the Laplacian of the luminance (0..255) at a longest side of at most 512 px.
    ``blockiness`` is the mean step across the lines of an 8 px grid divided by the mean step elsewhere: 1 without JPEG.
    ``text_lines`` are boxes of lines of text in the picture, ``text_coverage`` their share of the area.
    """

    format: ImageFormat | None
    width_px: int
    height_px: int
    page_count: int
    sharpness: float
    blockiness: float
    issues: tuple[PictureIssue, ...]
    text_lines: tuple[Box, ...] = ()
    text_coverage: float = 0.0
    findings: tuple[PictureFinding, ...] = ()
