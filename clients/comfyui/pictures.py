"""Pictures of ComfyUI, IMAGE tensors, and pictures of Stillcue, encoded files."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from .errors import NodeError

if TYPE_CHECKING:
    from stillcue import Frame

Pixels = NDArray[np.uint8]  # [height, width, 3], RGB, rows from the top
_WHITE = np.float32(255)
_MODES = {1: "L", 3: "RGB", 4: "RGBA"}


@dataclass(frozen=True)
class PreparedPicture:
    """The picture from which a clip starts: a PNG file of exactly the clip's size."""

    data: bytes
    width_px: int
    height_px: int


def picture_of(image: torch.Tensor) -> Image.Image:
    """Returns an IMAGE [1, height, width, channels], 0 to 1, as a picture of 8 bits.

    Values that are multiples of 1/255 are kept exactly; others are rounded, and cut to 0..1. One channel is grey, four
    are RGB and alpha. Raises ``NodeError`` for anything else.
    """
    if image.ndim != 4 or image.shape[3] not in _MODES or 0 in image.shape:
        raise NodeError(
            f"image has the shape {tuple(image.shape)}; link an IMAGE of one picture, [1, height, width, 1, 3 or 4]"
        )
    if image.shape[0] != 1:
        raise NodeError(f"image is a batch of {image.shape[0]} pictures; link one, for example by Image From Batch")
    values = image[0].detach().to("cpu", torch.float32)
    if not bool(torch.isfinite(values).all()):
        raise NodeError("image holds values that are no numbers (NaN or infinity); link another picture")
    array = (values.clamp(0, 1) * 255).round().to(torch.uint8).numpy()
    mode = _MODES[array.shape[2]]
    return Image.fromarray(array[:, :, 0] if mode == "L" else array)


def png_of(picture: Image.Image) -> bytes:
    """Returns a picture as a PNG file."""
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()


def image_of(data: bytes) -> torch.Tensor:
    """Returns an encoded picture as IMAGE [1, height, width, 3]."""
    pixels = pixels_of(data)
    return torch.from_numpy(np.divide(pixels, _WHITE, dtype=np.float32))[None]


def blank_image() -> torch.Tensor:
    """Returns a black IMAGE of one pixel, for a picture that the server does not have."""
    return torch.zeros((1, 1, 1, 3))


def pixels_of(data: bytes) -> Pixels:
    """Returns the pixels of an encoded picture of a server. Raises ``NodeError`` if it is damaged."""
    try:
        with Image.open(io.BytesIO(data)) as picture:
            return np.asarray(picture.convert("RGB"))
    except (UnidentifiedImageError, OSError, SyntaxError) as error:
        raise NodeError(f"the server sent a picture that cannot be read ({error}); tell its operator") from error


def frame_pixels(frame: Frame) -> Pixels:
    """Returns the pixels of a frame in any encoding."""
    if frame.encoding.value != "raw_rgb":
        return pixels_of(frame.data)
    expected = frame.height_px * frame.width_px * 3
    if len(frame.data) != expected:
        message = f"the server sent frame {frame.index} of {len(frame.data)} bytes instead of {expected}"
        raise NodeError(f"{message}; tell its operator")
    return np.frombuffer(frame.data, np.uint8).reshape(frame.height_px, frame.width_px, 3)


class FrameBatch:
    """Collects the frames of a clip into an IMAGE batch [count, height, width, 3], float32, 0 to 1."""

    def __init__(self, frame_count: int, width_px: int, height_px: int) -> None:
        # numpy divides in the calling thread; torch would start threads, which a server on this machine needs.
        self._images = np.empty((frame_count, height_px, width_px, 3), np.float32)

    def put(self, index: int, pixels: Pixels) -> None:
        """Sets a frame. Raises ``NodeError`` for one of another size or beyond the end."""
        expected = self._images.shape
        if index >= expected[0] or pixels.shape != expected[1:]:
            raise NodeError(f"the server sent frame {index} of shape {pixels.shape} in a clip of {expected}")
        np.divide(pixels, _WHITE, out=self._images[index], dtype=np.float32)

    @property
    def images(self) -> torch.Tensor:
        """The batch; frames that were not set are uninitialised."""
        return torch.from_numpy(self._images)
