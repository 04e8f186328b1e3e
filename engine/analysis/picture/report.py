"""Measures a picture file: format, size, channels, rotation, sharpness, traces of JPEG, text.

Also reports on files that ``engine.media.picture`` refuses, so that a caller learns every reason at once.
"""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags
from PIL import Image as Pillow

from engine.analysis.picture.text_detection import detect_text
from engine.api.capabilities import Limits
from engine.api.errors import InvalidJob, Violation
from engine.api.fields import Field
from engine.api.media import Box, Image, ImageFormat
from engine.api.picture_report import PictureIssue, PictureReport
from engine.media.picture import decode_picture

_SIDE_PX = 512  # sharpness is compared at one size, because a large picture looks softer pixel by pixel
# Measured on drawn pictures with the spectrum of photographs (tests/test_picture_report.py): the variance of the
# Laplacian falls from 6,000 to 150 with a blur of 1 px and to 12 with one of 2 px. Measure: Pech-Pacheco et al. 2000.
_BLURRED_BELOW = 60.0
# On the same pictures JPEG gives a ratio of 2.0 at quality 10, 1.4 at 30, 1.24 at 50, and 1.02 from 75 on, as without.
_BLOCKY_ABOVE = 1.35
_SMALLEST_SIDE_PX = 240
_LONGEST_ASPECT = 3.0
_GRID_PX = 8
_FEWEST_BLOCKS = 16  # along a side; in smaller pictures the edges of things decide where steps fall
_MODES_WITH_ALPHA = frozenset({"LA", "La", "PA", "RGBA", "RGBa"})
_MODES_OF_16_BITS = frozenset({"I;16", "I;16B", "I;16L", "I;16N", "I", "F"})
_PNG_DEPTH_OFFSET = 24  # see engine.media.picture


def report_picture(image: Image, limits: Limits) -> PictureReport:
    """Reports on a picture file; decodes it once.

    Raises ``InvalidJob`` for ``Field.IMAGE_DATA`` if the data is empty, too large, no PNG, JPEG or WebP, or damaged.
    """
    if not image.data or len(image.data) > limits.max_image_bytes:
        raise _refuse(f"holds {len(image.data)} bytes; send a picture of 1 to {limits.max_image_bytes} bytes")
    try:
        picture = Pillow.open(io.BytesIO(image.data), formats=[item.value for item in ImageFormat])
    except Exception as error:  # decoders of damaged files raise a dozen different types
        raise _refuse("is not a PNG, JPEG or WebP picture; send one of these") from error
    if not 0 < picture.width * picture.height <= limits.max_image_pixel_count:
        raise _refuse(
            f"is {picture.width}x{picture.height} pixels; send one of 1 to {limits.max_image_pixel_count} pixels"
        )
    issues = _issues_of_header(picture, image.data)
    frame_count = 1 if picture.format == "MPO" else int(getattr(picture, "n_frames", 1))
    if frame_count > 1:
        issues.append(PictureIssue.ANIMATED)
    upright: Pillow.Image | None = None
    if not {PictureIssue.ANIMATED, PictureIssue.SIXTEEN_BIT} & set(issues):
        upright = decode_picture(image, limits)
    return _report(picture, upright, frame_count, issues)


def report_decoded(image: Image, upright: Pillow.Image) -> PictureReport:
    """Reports on a file that ``decode_picture`` already decoded to ``upright``; reads only the header of the file."""
    picture = Pillow.open(io.BytesIO(image.data), formats=[item.value for item in ImageFormat])
    return _report(picture, upright, 1, _issues_of_header(picture, image.data))


def _report(
    picture: Pillow.Image, upright: Pillow.Image | None, frame_count: int, issues: list[PictureIssue]
) -> PictureReport:
    sharpness = blockiness = None
    text_lines: tuple[Box, ...] = ()
    text_coverage = 0.0
    width, height = picture.size
    if upright is not None:
        width, height = upright.size
        luminance = np.asarray(upright.convert("L"), np.uint8)
        sharpness, blockiness = sharpness_of(luminance), blockiness_of(luminance)
        issues += [PictureIssue.BLURRED] if sharpness < _BLURRED_BELOW else []
        issues += [PictureIssue.BLOCKY] if blockiness > _BLOCKY_ABOVE else []
        found = detect_text(upright)
        text_lines, text_coverage = found.lines, found.coverage
        issues += [PictureIssue.LETTERING] if text_lines else []
    elif _orientation(picture) >= 5:
        width, height = height, width
    return PictureReport(
        ImageFormat("JPEG" if picture.format == "MPO" else picture.format),
        width,
        height,
        frame_count,
        sharpness,
        blockiness,
        tuple(issues),
        text_lines,
        text_coverage,
    )


def sharpness_of(luminance: NDArray[np.uint8]) -> float:
    """Variance of the Laplacian (4 neighbours) of luminance [H, W] at a longest side of at most 512 px."""
    height, width = luminance.shape
    scale = min(1.0, _SIDE_PX / max(height, width))
    size = (max(round(width * scale), 3), max(round(height * scale), 3))
    small = np.asarray(Pillow.fromarray(luminance).resize(size, Pillow.Resampling.BOX), np.float32)
    inner = small[1:-1, 1:-1]
    laplacian = small[:-2, 1:-1] + small[2:, 1:-1] + small[1:-1, :-2] + small[1:-1, 2:] - 4.0 * inner
    return float(laplacian.var())


def blockiness_of(luminance: NDArray[np.uint8]) -> float:
    """Mean step across grid lines over the mean step elsewhere, of luminance [H, W]; the larger of both directions.

    All eight offsets of the grid are tried, because a crop moves the grid. 1 for a picture of fewer than sixteen
    blocks.
    """
    return max(_blockiness_along(luminance), _blockiness_along(luminance.T))


def _blockiness_along(luminance: NDArray[np.uint8]) -> float:
    if luminance.shape[1] < _FEWEST_BLOCKS * _GRID_PX:
        return 1.0
    steps = np.abs(np.diff(luminance.astype(np.int16), axis=1)).mean(axis=0)  # [W - 1]
    sums = np.array([steps[offset::_GRID_PX].mean() for offset in range(_GRID_PX)])
    strongest = int(sums.argmax())
    elsewhere = float(np.delete(sums, strongest).mean())
    return float(sums[strongest]) / elsewhere if elsewhere > 0.05 else 1.0


def _issues_of_header(picture: Pillow.Image, data: bytes) -> list[PictureIssue]:
    width, height = picture.size
    deep = picture.mode in _MODES_OF_16_BITS or (picture.format == "PNG" and data[_PNG_DEPTH_OFFSET] > 8)
    seen = {
        PictureIssue.SMALL: min(width, height) < _SMALLEST_SIDE_PX,
        PictureIssue.LONG: max(width, height) > _LONGEST_ASPECT * min(width, height),
        PictureIssue.ROTATED: _orientation(picture) > 1,
        PictureIssue.TRANSPARENT: picture.mode in _MODES_WITH_ALPHA or "transparency" in picture.info,
        PictureIssue.CMYK: picture.mode == "CMYK",
        PictureIssue.SIXTEEN_BIT: deep,
    }
    return [issue for issue, is_seen in seen.items() if is_seen]


def _orientation(picture: Pillow.Image) -> int:
    """EXIF orientation, 1..8; 1 if there is none or the block is damaged."""
    try:
        value = picture.getexif().get(ExifTags.Base.Orientation, 1)
    except Exception:  # noqa: BLE001 - damaged metadata raises anything and is no reason to refuse a picture
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _refuse(description: str) -> InvalidJob:
    return InvalidJob(Violation(Field.IMAGE_DATA, description))
