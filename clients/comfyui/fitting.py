"""Fits a picture to a clip in ComfyUI, for servers that have no scorer and show no prepared picture."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from .choices import CROP_CENTER, PAD, REFUSE_SHAPE
from .errors import NodeError

if TYPE_CHECKING:
    from collections.abc import Sequence

Size = tuple[int, int]  # width and height in pixels


def nearest_size(picture: Image.Image, sizes: Sequence[Size]) -> Size:
    """Returns the size whose aspect is nearest to the picture's; the first of equals."""
    aspect = math.log(picture.width / picture.height)
    return min(sizes, key=lambda size: abs(math.log(size[0] / size[1]) - aspect))


def crop_to_center(picture: Image.Image, size: Size) -> Image.Image:
    """Returns the largest centred part of the clip's aspect, resized."""
    width, height = _largest_part(picture, size)
    left, top = (picture.width - width) // 2, (picture.height - height) // 2
    return _resized(picture, (left, top, left + width, top + height), size)


def add_bars(picture: Image.Image, size: Size) -> Image.Image:
    """Returns the whole picture between bars in the mean colour of the edges that they touch."""
    scale = min(size[0] / picture.width, size[1] / picture.height)
    width = min(max(round(picture.width * scale), 1), size[0])
    height = min(max(round(picture.height * scale), 1), size[1])
    inner = _resized(picture, (0, 0, picture.width, picture.height), (width, height))
    pixels = np.asarray(inner)
    edges = pixels[:, [0, -1]] if width < size[0] else pixels[[0, -1]]
    colour = tuple(int(value) for value in np.round(edges.mean(axis=(0, 1))))
    padded = Image.new("RGB", size, colour)
    padded.paste(inner, ((size[0] - width) // 2, (size[1] - height) // 2))
    return padded


def fit_here(picture: Image.Image, size: Size, fit: str) -> Image.Image:
    """Returns the RGB picture at the size of the clip. Raises ``NodeError`` if the fit is not possible."""
    picture = _opaque(picture)
    if fit == PAD:
        return add_bars(picture, size)
    if fit == CROP_CENTER:
        return crop_to_center(picture, size)
    if fit == REFUSE_SHAPE:
        if _is_of_aspect(picture, size):
            return crop_to_center(picture, size)
        raise NodeError(
            f"the picture has {picture.width}x{picture.height} px, another shape than the clip's {size[0]}x{size[1]}; "
            "choose another size or fit"
        )
    raise NodeError(
        "fit is crop_subject, but this server's model has no scorer that could find the subject; choose crop_center or "
        "pad"
    )


def _is_of_aspect(picture: Image.Image, size: Size) -> bool:
    """True if the largest part of the clip's aspect leaves out no more than a row or a column."""
    width, height = _largest_part(picture, size)
    return picture.width - width <= 1 and picture.height - height <= 1


def _largest_part(picture: Image.Image, size: Size) -> Size:
    width = max(min(picture.width, round(picture.height * size[0] / size[1])), 1)
    return width, max(min(picture.height, round(picture.width * size[1] / size[0])), 1)


def _opaque(picture: Image.Image) -> Image.Image:
    """The picture composited on white."""
    if picture.mode != "RGBA":
        return picture.convert("RGB")
    white = Image.new("RGB", picture.size, "white")
    return Image.composite(picture.convert("RGB"), white, picture.getchannel("A"))


def _resized(picture: Image.Image, edges: tuple[int, int, int, int], size: Size) -> Image.Image:
    if (edges[2] - edges[0], edges[3] - edges[1]) == size:
        return picture.crop(edges)
    return picture.resize(size, Image.Resampling.LANCZOS, box=edges)
