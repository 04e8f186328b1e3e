"""Reads the pictures of labelled pairs with the engine's decoder, so that scores see what a served scorer sees."""

from __future__ import annotations

from pathlib import Path

from PIL import Image as Pillow

from engine.api.capabilities import Limits
from engine.api.errors import InvalidJob
from engine.api.media import Image
from engine.media.picture import decode_picture
from export.errors import ExportError

_LIMITS = Limits(max_image_bytes=256 * 1024 * 1024)  # a person's own files, larger than what callers may send


def read_picture(file: Path) -> Pillow.Image:
    """The upright picture in sRGB. Raises ``ExportError`` naming the file and the fault."""
    try:
        return decode_picture(Image(file.read_bytes()), _LIMITS).upright
    except OSError as error:
        raise ExportError(f"cannot read the picture {file}: {error.strerror}") from error
    except InvalidJob as error:
        raise ExportError(f"cannot read the picture {file}: it {error.violations[0].description}") from error
