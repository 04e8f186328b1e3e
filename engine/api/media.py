"""What is said of pictures: files, pixels, places in them, and a report. Plain frozen data.

The first of these count among the engine's words and are imported through ``engine.api.types``.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.api.prompt_report import Severity

Pixels = NDArray[np.uint8]  # [height, width, 3], RGB, rows from the top


class ImageFormat(enum.Enum):
    """File formats of input pictures; the values are Pillow's names."""

    PNG = "PNG"
    JPEG = "JPEG"
    WEBP = "WEBP"


class FrameEncoding(enum.Enum):
    """Encodings of output frames."""

    RAW_RGB = "raw_rgb"
    PNG = "png"
    JPEG = "jpeg"
    WEBP = "webp"


@dataclass(frozen=True, slots=True)
class Image:
    """An encoded picture file; ``format`` None means that it is recognised from the data."""

    data: bytes
    format: ImageFormat | None = None


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle in pixels of the upright input picture."""

    left_px: int
    top_px: int
    width_px: int
    height_px: int


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
    ``lettering`` are lines of lettering, ``lettering_coverage`` their share of the area.
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
    lettering: tuple[Box, ...] = ()
    lettering_coverage: float = 0.0
    findings: tuple[PictureFinding, ...] = ()
