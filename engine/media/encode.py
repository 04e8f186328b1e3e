"""Encodes frames as PNG, JPEG, WebP or raw bytes."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image as Pillow

from engine.api.media import FrameEncoding, Pixels

_PILLOW_OPTIONS: dict[FrameEncoding, dict[str, str | int]] = {
    FrameEncoding.PNG: {"format": "PNG", "compress_level": 1},
    FrameEncoding.JPEG: {"format": "JPEG", "quality": 92, "subsampling": 0},
    FrameEncoding.WEBP: {"format": "WEBP", "quality": 92, "method": 2},
}


def encode_frame(pixels: Pixels, encoding: FrameEncoding) -> bytes | memoryview:
    """Encodes one frame, uint8 [height, width, 3].

    ``RAW_RGB`` returns the height · width · 3 bytes of ``pixels`` itself, without a copy if they are contiguous.
    """
    if encoding is FrameEncoding.RAW_RGB:
        return np.ascontiguousarray(pixels).data.cast("B")
    buffer = io.BytesIO()
    Pillow.fromarray(pixels).save(buffer, **_PILLOW_OPTIONS[encoding])  # type: ignore[arg-type]
    return buffer.getvalue()
