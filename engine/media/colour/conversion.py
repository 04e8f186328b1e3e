"""Conversions of 8-bit pixels to sRGB, with littleCMS.

Relative colorimetric with black point compensation, as in browsers: white stays white, black becomes black, and colours
that sRGB has keep their appearance.
"""

from __future__ import annotations

import functools
import io
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow
from PIL import ImageCms

from engine.api.picture_report import PictureIssue
from engine.media.colour.profile import checked_profile, is_grey, matrix_profile
from engine.media.colour.space import ColourSpace, Curve

ColourTag = bytes | ColourSpace | None  # an ICC profile, a named space, or nothing: sRGB
_INTENT = ImageCms.Intent.RELATIVE_COLORIMETRIC
_FLAGS = ImageCms.Flags.BLACKPOINTCOMPENSATION
_FINE_TABLES = ImageCms.Flags.HIGHRESPRECALC  # a table of 49 ^ 3 costs 0.1 s; one of four inks would cost 0.5 s
_PROBE_LEVELS = 17
_INVISIBLE = 1  # levels; profiles of sRGB itself differ by so much after rounding


@dataclass(frozen=True, slots=True)
class Conversion:
    """``to_rgb`` converts a picture of mode L, RGB, CMYK or LAB to RGB; None if ``Image.convert`` does it.

    ``reduction`` are the 8-bit levels of 65,536 levels, for pixels of 16 bits.
    """

    to_rgb: Callable[[Pillow.Image], Pillow.Image] | None
    issues: tuple[PictureIssue, ...]
    reduction: NDArray[np.uint8]


def conversion_to_srgb(mode: str, tag: ColourTag, is_deep: bool) -> Conversion:
    """The conversion of pixels of ``mode`` (L, RGB, CMYK or LAB). A tag that cannot be used costs an issue only."""
    reduction = _rounded()
    if mode == "LAB":
        return Conversion(
            _transform(ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")), "LAB"),
            (PictureIssue.CONVERTED,),
            reduction,
        )
    if isinstance(tag, bytes):
        return _by_profile(mode, tag, reduction)
    if tag is None or tag.is_srgb or mode == "CMYK":
        return Conversion(None, (PictureIssue.CMYK,) if mode == "CMYK" else (), reduction)
    issues = (PictureIssue.HDR if tag.is_hdr else PictureIssue.CONVERTED,)
    if is_deep:  # the curve is applied to 16 bits, so that dark levels stay apart
        reduction = tag.srgb_levels(65536)
        tag = ColourSpace(tag.points, Curve.SRGB)
    if mode == "L" or tag.has_srgb_points:
        levels = tag.srgb_levels(256).tolist()
        return Conversion(None if tag.curve is Curve.SRGB else _lookup(levels), issues, reduction)
    profile = matrix_profile(tag)
    if profile is None:
        return Conversion(None, (PictureIssue.PROFILE_DAMAGED,), _rounded())
    return Conversion(_transform(_opened(profile), "RGB"), issues, reduction)


def _by_profile(mode: str, profile: bytes, reduction: NDArray[np.uint8]) -> Conversion:
    without = (PictureIssue.CMYK,) if mode == "CMYK" else ()
    checked = checked_profile(profile, mode)
    if isinstance(checked, PictureIssue):
        return Conversion(None, (checked, *without), reduction)
    try:
        to_rgb = _transform(_opened(checked), "L" if is_grey(checked) else "CMYK" if mode == "CMYK" else "RGB")
        changes = mode == "CMYK" or _changes_colours(to_rgb, mode)
    except Exception:  # noqa: BLE001 - lcms refuses damaged profiles with several types
        return Conversion(None, (PictureIssue.PROFILE_DAMAGED, *without), reduction)
    return Conversion(to_rgb, (PictureIssue.CONVERTED,), reduction) if changes else Conversion(None, (), reduction)


def _transform(profile: ImageCms.ImageCmsProfile, mode: str) -> Callable[[Pillow.Image], Pillow.Image]:
    flags = _FLAGS if mode == "CMYK" else _FLAGS | _FINE_TABLES
    transform = ImageCms.buildTransform(profile, ImageCms.createProfile("sRGB"), mode, "RGB", _INTENT, flags)

    def to_rgb(picture: Pillow.Image) -> Pillow.Image:
        converted = ImageCms.applyTransform(picture if picture.mode == mode else picture.convert(mode), transform)
        assert converted is not None  # not in place
        return converted

    return to_rgb


def _lookup(levels: list[int]) -> Callable[[Pillow.Image], Pillow.Image]:
    def to_rgb(picture: Pillow.Image) -> Pillow.Image:
        return picture.point(levels * len(picture.getbands())).convert("RGB")

    return to_rgb


def _changes_colours(to_rgb: Callable[[Pillow.Image], Pillow.Image], mode: str) -> bool:
    """True if the conversion changes a colour of a lattice, or a grey, by more than ``_INVISIBLE`` levels."""
    levels = np.round(np.linspace(0, 255, _PROBE_LEVELS)).astype(np.uint8)
    greys = np.repeat(np.arange(256, dtype=np.uint8)[:, None], 3, axis=1)
    lattice = np.stack(np.meshgrid(levels, levels, levels), axis=-1).reshape(-1, 3)
    colours = greys if mode == "L" else np.concatenate([greys, lattice])
    probe = Pillow.fromarray(colours[None])
    converted = np.asarray(to_rgb(probe.convert(mode)), np.int16)
    return bool(np.abs(converted - colours[None]).max() > _INVISIBLE)


def _opened(profile: bytes) -> ImageCms.ImageCmsProfile:
    return ImageCms.ImageCmsProfile(io.BytesIO(profile))


@functools.cache
def _rounded() -> NDArray[np.uint8]:
    return np.round(np.arange(65536) / 257.0).astype(np.uint8)
