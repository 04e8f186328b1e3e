"""Pictures and frames: encoded files, decoded pixels, rectangles."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Pixels: TypeAlias = "NDArray[np.uint8]"  # [height, width, 3], RGB, rows from the top


class ImageFormat(enum.Enum):
    """File formats of input pictures; the values are Pillow's names."""

    PNG = "PNG"
    JPEG = "JPEG"
    WEBP = "WEBP"
    GIF = "GIF"
    BMP = "BMP"
    TIFF = "TIFF"
    AVIF = "AVIF"
    HEIF = "HEIF"


class FrameEncoding(enum.Enum):
    """Encodings of output frames."""

    RAW_RGB = "raw_rgb"
    PNG = "png"
    JPEG = "jpeg"
    WEBP = "webp"


@dataclass(frozen=True, slots=True)
class Image:
    """An encoded picture file. ``format`` None: detected from the data."""

    data: bytes
    format: ImageFormat | None = None


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle in pixels, for example of the upright input picture."""

    left_px: int
    top_px: int
    width_px: int
    height_px: int
