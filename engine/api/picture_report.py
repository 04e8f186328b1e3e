"""The report on a picture file: measurements, issues, findings."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from engine.api.media import Box, ImageFormat
from engine.api.prompt_report import Severity


class PictureIssue(enum.Enum):
    """What may spoil a clip from this picture."""

    SMALL = "small"
    LONG = "long"
    ROTATED = "rotated"
    TRANSPARENT = "transparent"
    CMYK = "cmyk"
    SIXTEEN_BIT = "sixteen_bit"
    ANIMATED = "animated"
    BLURRED = "blurred"
    BLOCKY = "blocky"
    LETTERING = "lettering"


@dataclass(frozen=True, slots=True)
class PictureFinding:
    """One piece of advice on a picture: a row of ``findings.toml`` in one language.

    ``boxes`` say where in the picture, in its pixels, for findings that have a place.
    """

    code: str
    severity: Severity
    message: str
    suggestion: str
    boxes: tuple[Box, ...] = ()


@dataclass(frozen=True, slots=True)
class PictureReport:
    """Facts about a picture file; width and height are those of the upright picture.

    ``sharpness`` is the variance of the Laplacian of the luminance (0..255) at a longest side of at most 512 px.
    ``blockiness`` is the mean step across the lines of an 8 px grid over the mean step elsewhere: 1 without JPEG.
    ``lettering`` are lines of lettering, ``text_coverage`` their share of the area.
    Sharpness and blockiness are None for a file that is animated or has 16 bits a channel, which is not served; no
    lettering is looked for there. ``findings`` is what ``engine.analysis.picture.findings`` says about it all.
    """

    format: ImageFormat | None
    width_px: int
    height_px: int
    frame_count: int
    sharpness: float | None
    blockiness: float | None
    issues: tuple[PictureIssue, ...]
    text_lines: tuple[Box, ...] = ()
    text_coverage: float = 0.0
    findings: tuple[PictureFinding, ...] = ()
