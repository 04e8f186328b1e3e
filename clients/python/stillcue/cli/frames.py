"""Decodes frames to pixels."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from stillcue.events import FrameEncoding

if TYPE_CHECKING:
    from stillcue.events import Frame

Pixels = NDArray[np.uint8]  # [height, width, 3], RGB, rows from the top


def decode_frame(frame: Frame) -> Pixels:
    """Returns the pixels [height, width, 3] uint8 of a frame in any encoding."""
    if frame.encoding is FrameEncoding.RAW_RGB:
        return np.frombuffer(frame.data, dtype=np.uint8).reshape(frame.height_px, frame.width_px, 3)
    with Image.open(io.BytesIO(frame.data)) as image:
        return np.asarray(image.convert("RGB"))
