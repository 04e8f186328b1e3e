"""Pictures of the world as PNG files."""

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image


def png_of(picture: NDArray[np.uint8]) -> bytes:
    """A picture [height, width, 3] as a PNG file."""
    stream = io.BytesIO()
    Image.fromarray(picture).save(stream, "PNG")
    return stream.getvalue()
