"""Decodes picture files, also hostile ones: the one way by which pictures come in."""

from __future__ import annotations

import functools
import importlib
import io
from dataclasses import dataclass

from PIL import ExifTags, ImageFile
from PIL import Image as Pillow

from engine.api.capabilities import Limits
from engine.api.errors import InvalidJob, Violation
from engine.api.fields import Field
from engine.api.media import Image, ImageFormat
from engine.api.picture_report import PictureIssue
from engine.media.colour.conversion import ColourTag, conversion_to_srgb
from engine.media.container.facts import DAMAGED, MOST_FRAMES, FileFacts
from engine.media.formats import HEIF_MISSING, HEIF_PACKAGE, FormatRow, reads_heif, recognise
from engine.media.pixels import DecodedPixels, decode_pixels
from engine.media.refused_files import SEND_ONE

# The limit on pixels is ours and is checked from the header, before anything is decoded.
Pillow.MAX_IMAGE_PIXELS = None

_COUNT_FRAMES = frozenset({ImageFormat.PNG, ImageFormat.WEBP, ImageFormat.AVIF})  # from their headers
_SPARE_PIXELS = 2_000_000  # tiles and thumbnails of a small picture
_TRANSPOSITIONS = {
    2: Pillow.Transpose.FLIP_LEFT_RIGHT,
    3: Pillow.Transpose.ROTATE_180,
    4: Pillow.Transpose.FLIP_TOP_BOTTOM,
    5: Pillow.Transpose.TRANSPOSE,
    6: Pillow.Transpose.ROTATE_270,
    7: Pillow.Transpose.TRANSVERSE,
    8: Pillow.Transpose.ROTATE_90,
}


@dataclass(frozen=True, slots=True)
class DecodedPicture:
    """A decoded file. ``upright`` is RGB in sRGB, turned as its camera was held; transparent parts are white.

    ``issues`` are those that the file shows before its pixels are looked at.
    """

    upright: Pillow.Image
    format: ImageFormat
    page_count: int
    issues: tuple[PictureIssue, ...]


def decode_picture(image: Image, limits: Limits) -> DecodedPicture:
    """Decodes a picture file.

    Raises ``InvalidJob`` for ``Field.IMAGE_DATA`` or ``Field.IMAGE_FORMAT`` if the data is empty, too large, of no
    format that is read (``engine.media.formats``), not of ``image.format``, damaged or animated.
    """
    row, facts = _recognised(image, limits)
    try:
        picture = _open(facts.data, row)
    except Exception as error:  # decoders of damaged files raise a dozen different types
        description = (
            f"is {row.with_article} file that is damaged, cut short or of a rare kind; send the whole file again"
        )
        raise _refuse(Field.IMAGE_DATA, f"{description}, or save it as PNG") from error
    _check_header(picture, row, facts, limits)
    try:
        pixels = decode_pixels(picture, lambda: _open(facts.data, row), facts)
        tag = picture.info["icc_profile"] if picture.info.get("icc_profile") else facts.tag
        upright, issues = _to_upright_srgb(pixels, tag)
    except Exception as error:  # see above
        raise _refuse(Field.IMAGE_DATA, DAMAGED) from error
    if tag is facts.tag:
        issues = (*issues, *facts.issues)
    if "icc_profile" in picture.info and not picture.info["icc_profile"]:  # parts of a JPEG's profile are missing
        issues = (*issues, PictureIssue.PROFILE_DAMAGED)
    seen = {
        PictureIssue.ROTATED: facts.is_turned or _orientation(picture) > 1,
        PictureIssue.TRANSPARENT: picture.has_transparency_data,
        PictureIssue.SIXTEEN_BIT: pixels.is_deep or (facts.bit_count or 8) > 8,
        PictureIssue.PAGES: facts.page_count > 1,
    }
    found = (*(issue for issue, is_seen in seen.items() if is_seen), *dict.fromkeys(issues))
    return DecodedPicture(upright, row.format, facts.page_count, found)


def _recognised(image: Image, limits: Limits) -> tuple[FormatRow, FileFacts]:
    """The format and what its container says. Raises ``InvalidJob``."""
    if len(image.data) > limits.max_image_bytes:
        raise _refuse(
            Field.IMAGE_DATA,
            f"holds {len(image.data)} bytes, more than the limit of {limits.max_image_bytes}; "
            "send a smaller picture, no clip is larger than its compiled size",
        )
    row = recognise(image.data)
    if not isinstance(row, FormatRow):
        raise _refuse(Field.IMAGE_DATA, row.description)
    if image.format is not None and row.format is not image.format:
        raise _refuse(Field.IMAGE_FORMAT, f"says {image.format.value} but the data is {row.format.value}")
    if row.format is ImageFormat.HEIF and not reads_heif():
        raise _refuse(Field.IMAGE_DATA, HEIF_MISSING)
    facts = row.read(image.data)
    if facts.refusal is not None:
        raise _refuse(Field.IMAGE_DATA, facts.refusal)
    if facts.size_px is not None:
        _check_size(*facts.size_px, limits)
    return row, facts


def _open(data: bytes, row: FormatRow) -> ImageFile.ImageFile:
    if row.format is ImageFormat.HEIF:
        _register_heif()
    return Pillow.open(io.BytesIO(data), formats=row.pillow_names)


@functools.cache
def _register_heif() -> None:
    heif = importlib.import_module(HEIF_PACKAGE)
    heif.register_heif_opener(thumbnails=False, depth_images=False, aux_images=False)


def _check_header(picture: ImageFile.ImageFile, row: FormatRow, facts: FileFacts, limits: Limits) -> None:
    _check_size(picture.width, picture.height, limits)
    if (facts.coded_pixel_count or 0) > 3 * picture.width * picture.height + _SPARE_PIXELS:
        raise _refuse(Field.IMAGE_DATA, DAMAGED)
    if max(picture.width, picture.height) > 20 * min(picture.width, picture.height):
        raise _refuse(
            Field.IMAGE_DATA,
            f"is {picture.width}x{picture.height} pixels, longer than 20 to 1; crop it to the part that should move",
        )
    frame_count = facts.frame_count
    if row.format in _COUNT_FRAMES:
        frame_count = int(getattr(picture, "n_frames", 1))
    if frame_count > 1:
        count = f"{frame_count} or more" if frame_count >= MOST_FRAMES else frame_count
        raise _refuse(Field.IMAGE_DATA, f"is {row.with_article} animation of {count} frames; send one still picture")


def _check_size(width_px: int, height_px: int, limits: Limits) -> None:
    if width_px < 1 or height_px < 1:
        raise _refuse(Field.IMAGE_DATA, f"is {width_px}x{height_px} pixels; {SEND_ONE} with pixels")
    if width_px * height_px > limits.max_image_pixel_count:
        raise _refuse(
            Field.IMAGE_DATA,
            f"is {width_px}x{height_px} pixels, more than the limit of "
            f"{limits.max_image_pixel_count}; scale it down first",
        )


def _to_upright_srgb(pixels: DecodedPixels, tag: ColourTag) -> tuple[Pillow.Image, tuple[PictureIssue, ...]]:
    """The pixels in sRGB, transparent parts white, turned by the orientation that decoding has left to do."""
    conversion = conversion_to_srgb(pixels.mode, tag, pixels.is_deep)
    transposition = _TRANSPOSITIONS.get(_orientation(pixels.upper))
    picture = pixels.upper
    if conversion.to_rgb is not None or not pixels.is_plain:
        picture = Pillow.new("RGB", pixels.upper.size)
        for top, (colours, alpha) in pixels.bands(conversion.reduction):
            converted = colours.convert("RGB") if conversion.to_rgb is None else conversion.to_rgb(colours)
            if alpha is not None:
                converted = Pillow.composite(converted, Pillow.new("RGB", converted.size, "white"), alpha)
            picture.paste(converted, (0, top))
    return picture if transposition is None else picture.transpose(transposition), conversion.issues


def _orientation(picture: Pillow.Image) -> int:
    """EXIF orientation, 1..8; 1 if there is none or the block is damaged."""
    try:
        value = picture.getexif().get(ExifTags.Base.Orientation, 1)
    except Exception:  # noqa: BLE001 - damaged metadata raises anything and is no reason to refuse a picture
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _refuse(field: Field, description: str) -> InvalidJob:
    return InvalidJob(Violation(field, description))
