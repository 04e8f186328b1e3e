"""Pictures that are larger than a server takes: made smaller, or refused."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from PIL import Image

from .choices import REFUSE, SHRINK
from .errors import NodeError
from .pictures import png_of

if TYPE_CHECKING:
    from stillcue import Limits

# A file shrinks a little more slowly than its area does.
_SHARE_OF_LIMIT = 0.9


def within_limits(picture: Image.Image, limits: Limits, policy: str) -> tuple[bytes, str]:
    """Returns a picture as a PNG file within the limits, and a note that says what was changed; empty for nothing.

    Raises ``NodeError`` for a picture beyond the limits if ``policy`` is ``REFUSE``.
    """
    data = png_of(picture)
    shown = f"{picture.width}x{picture.height} px, {_mebibytes(len(data))}"
    allowed = f"{limits.max_image_pixel_count / 1e6:g} million pixels and {_mebibytes(limits.max_image_bytes)}"
    if _excess(picture, data, limits) <= 1:
        return data, ""
    if policy == REFUSE:
        raise NodeError(
            f"the picture is too large: {shown} as PNG; this server takes up to {allowed}. Set large_pictures to "
            f"“{SHRINK}”, or link a smaller picture"
        )
    smaller = picture
    while (excess := _excess(smaller, data, limits)) > 1:
        scale = math.sqrt(_SHARE_OF_LIMIT / excess)
        size = max(int(smaller.width * scale), 1), max(int(smaller.height * scale), 1)
        if size == smaller.size:
            raise NodeError(f"the picture is too large: this server takes up to {allowed}; link another picture")
        smaller = picture.resize(size, Image.Resampling.LANCZOS)
        data = png_of(smaller)
    return data, (
        f"shrunk from {shown} to {smaller.width}x{smaller.height} px, {_mebibytes(len(data))}: this server takes up to "
        f"{allowed}"
    )


def _excess(picture: Image.Image, data: bytes, limits: Limits) -> float:
    """The larger ratio of the picture to the limits, in pixels or in bytes; above 1 the picture is too large."""
    pixels = picture.width * picture.height / max(limits.max_image_pixel_count, 1)
    return max(pixels, len(data) / max(limits.max_image_bytes, 1))


def _mebibytes(count: int) -> str:
    return f"{count / 2**20:.3g} MiB"
