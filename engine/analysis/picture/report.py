"""Measures a picture: size, sharpness, traces of JPEG, text; together with what its file showed."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow

from engine.analysis.picture.text_detection import detect_text
from engine.api.picture_report import PictureIssue, PictureReport
from engine.media.picture import DecodedPicture

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


def report_picture(decoded: DecodedPicture) -> PictureReport:
    """Reports on a decoded picture file."""
    upright = decoded.upright
    width, height = upright.size
    luminance = np.asarray(upright.convert("L"), np.uint8)
    sharpness, blockiness = sharpness_of(luminance), blockiness_of(luminance)
    text = detect_text(upright)
    before = {
        PictureIssue.SMALL: min(width, height) < _SMALLEST_SIDE_PX,
        PictureIssue.LONG: max(width, height) > _LONGEST_ASPECT * min(width, height),
    }
    after = {
        PictureIssue.BLURRED: sharpness < _BLURRED_BELOW,
        PictureIssue.BLOCKY: blockiness > _BLOCKY_ABOVE,
        PictureIssue.LETTERING: bool(text.lines),
    }
    return PictureReport(
        decoded.format,
        width,
        height,
        decoded.page_count,
        sharpness,
        blockiness,
        (*_seen(before), *decoded.issues, *_seen(after)),
        text.lines,
        text.coverage,
    )


def _seen(issues: Mapping[PictureIssue, bool]) -> tuple[PictureIssue, ...]:
    return tuple(issue for issue, is_seen in issues.items() if is_seen)


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
