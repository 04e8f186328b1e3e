"""Decodes picture files, also hostile ones, and brings pictures to the size of a clip."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence

import numpy as np
from PIL import Image as Pillow
from PIL import ImageOps

from engine.api.capabilities import Geometry, Limits
from engine.api.errors import InvalidJob, Violation
from engine.api.fields import Field
from engine.api.media import Box, Image, ImageFormat, Pixels
from engine.media.cropping import center_window

# The limit on pixels is ours and is checked from the header, before anything is decoded.
Pillow.MAX_IMAGE_PIXELS = None

_FORMATS = tuple(item.value for item in ImageFormat)
_MODES_OF_8_BITS = frozenset({"1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBa", "La", "CMYK", "YCbCr"})
# Telephones put a gain map or a depth map behind the photograph; Pillow has a name of its own for such a JPEG.
_JPEG_WITH_MORE = "MPO"
_PNG_DEPTH_OFFSET = 24  # signature 8, chunk's length and name 8, width and height 8; Pillow cuts 16-bit colour silently


def decode_picture(image: Image, limits: Limits) -> Pillow.Image:
    """Decodes a picture file to upright RGB; transparent parts become white.

    Raises ``InvalidJob`` for ``Field.IMAGE_DATA`` or ``Field.IMAGE_FORMAT`` if the data is empty, too large, no PNG,
    JPEG or WebP, not of ``image.format``, damaged, animated, or has more than 8 bits a channel.
    """
    if not image.data:
        raise _refuse(Field.IMAGE_DATA, "is empty; send a PNG, JPEG or WebP file")
    if len(image.data) > limits.max_image_bytes:
        raise _refuse(
            Field.IMAGE_DATA,
            f"holds {len(image.data)} bytes, more than the limit of {limits.max_image_bytes}; "
            "send a smaller picture, no clip is larger than its compiled size",
        )
    picture = _open(image.data)
    found = "JPEG" if picture.format == _JPEG_WITH_MORE else picture.format
    if image.format is not None and found != image.format.value:
        raise _refuse(Field.IMAGE_FORMAT, f"says {image.format.value} but the data is {found}")
    _check_header(picture, limits)
    if picture.mode not in _MODES_OF_8_BITS or (found == "PNG" and image.data[_PNG_DEPTH_OFFSET] > 8):
        raise _refuse(Field.IMAGE_DATA, "has more than 8 bits a channel; save it with 8 bits")
    try:
        picture.load()
        upright = ImageOps.exif_transpose(picture)
    except Exception as error:  # decoders of damaged files raise a dozen different types
        raise _refuse(Field.IMAGE_DATA, "is damaged or cut short; send the whole file again") from error
    return _to_rgb(upright)


def choose_geometry(picture: Pillow.Image, geometries: Sequence[Geometry]) -> Geometry:
    """The geometry whose aspect is nearest to the picture's; the first of equals."""
    aspect = math.log(picture.width / picture.height)
    return min(geometries, key=lambda item: abs(math.log(item.width_px / item.height_px) - aspect))


def center_crop(picture: Pillow.Image, geometry: Geometry) -> Box:
    """The largest centred window of the geometry's aspect."""
    return center_window(picture.width, picture.height, (geometry.width_px, geometry.height_px))


def fit_picture(picture: Pillow.Image, crop: Box, geometry: Geometry) -> Pixels:
    """Cuts out ``crop`` and resizes it with antialiasing (Lanczos).

    A crop that already has the size is copied unchanged.
    """
    edges = (crop.left_px, crop.top_px, crop.left_px + crop.width_px, crop.top_px + crop.height_px)
    size = (geometry.width_px, geometry.height_px)
    if (crop.width_px, crop.height_px) == size:
        picture = picture.crop(edges)
    else:
        picture = picture.resize(size, Pillow.Resampling.LANCZOS, box=edges)
    return np.asarray(picture, dtype=np.uint8)  # [height, width, 3]


def pad_picture(picture: Pillow.Image, geometry: Geometry) -> Pixels:
    """The whole picture, centred between bars in the mean colour of the edges that the bars touch."""
    scale = min(geometry.width_px / picture.width, geometry.height_px / picture.height)
    width = min(max(round(picture.width * scale), 1), geometry.width_px)
    height = min(max(round(picture.height * scale), 1), geometry.height_px)
    whole = Box(0, 0, picture.width, picture.height)
    inner = fit_picture(picture, whole, Geometry(width, height, geometry.frame_count))
    edges = inner[:, [0, -1]] if width < geometry.width_px else inner[[0, -1]]
    padded = np.empty((geometry.height_px, geometry.width_px, 3), np.uint8)
    padded[:] = np.round(edges.mean(axis=(0, 1)))
    left, top = (geometry.width_px - width) // 2, (geometry.height_px - height) // 2
    padded[top : top + height, left : left + width] = inner
    return padded


def _open(data: bytes) -> Pillow.Image:
    try:
        return Pillow.open(io.BytesIO(data), formats=_FORMATS)
    except Exception as error:  # see decode_picture
        raise _refuse(Field.IMAGE_DATA, "is not a PNG, JPEG or WebP picture; send one of these") from error


def _check_header(picture: Pillow.Image, limits: Limits) -> None:
    if picture.width < 1 or picture.height < 1:
        raise _refuse(Field.IMAGE_DATA, f"is {picture.width}x{picture.height} pixels; send a picture that has some")
    if picture.width * picture.height > limits.max_image_pixel_count:
        raise _refuse(
            Field.IMAGE_DATA,
            f"is {picture.width}x{picture.height} pixels, more than the limit of "
            f"{limits.max_image_pixel_count}; scale it down first",
        )
    if max(picture.width, picture.height) > 20 * min(picture.width, picture.height):
        raise _refuse(
            Field.IMAGE_DATA,
            f"is {picture.width}x{picture.height} pixels, longer than 20 to 1; crop it to the part that should move",
        )
    if picture.format != _JPEG_WITH_MORE and getattr(picture, "n_frames", 1) > 1:
        raise _refuse(Field.IMAGE_DATA, "is animated; send one still picture")


def _to_rgb(picture: Pillow.Image) -> Pillow.Image:
    if picture.has_transparency_data:
        picture = picture.convert("RGBA")
        return Pillow.alpha_composite(Pillow.new("RGBA", picture.size, "white"), picture).convert("RGB")
    return picture.convert("RGB")


def _refuse(field: Field, description: str) -> InvalidJob:
    return InvalidJob(Violation(field, description))
