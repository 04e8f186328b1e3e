"""Brings a picture to the size of a clip."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from PIL import Image as Pillow

from engine.api.capabilities import Geometry
from engine.api.media import Box, Pixels
from engine.media.cropping import center_window


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
