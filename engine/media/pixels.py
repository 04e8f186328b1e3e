"""Decoded pixels, band by band in 8 bits, whatever the file stores. Bands bound the memory of large pictures."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow
from PIL import ImageFile

from engine.media.container.facts import FileFacts

_BAND_PIXELS = 1_000_000
_GREY_MODES = frozenset({"1", "L", "LA", "La"})
_DEEP_GREY_MODES = frozenset({"I;16", "I;16B", "I;16L", "I;16N"})
_OTHER_BYTE = {"B": "L", "L": "B", "N": "B" if sys.byteorder == "little" else "L"}
# Pillow's decoders of these give the upper byte of each channel; the same decoder reads the lower byte in its place.
_DEEP_RAW_MODES = frozenset({"RGB;16", "RGBA;16"})
_DEEP_GREY_AND_ALPHA = "LA;16B"

Levels = NDArray[np.uint16]  # [rows, width, channels]
Band = tuple[Pillow.Image, Pillow.Image | None]  # colours of mode L, RGB, CMYK or LAB, and alpha of mode L


@dataclass(frozen=True, slots=True)
class DecodedPixels:
    """``upper`` is the picture as decoded, ``lower`` the lower bytes of its channels if it has 16 bits.

    ``has_pairs`` is True for 16-bit grey with transparency: each pixel of ``upper`` holds the bytes of grey and alpha.
    ``maximum`` is the largest level of a deep picture, ``is_negative`` True for one where 0 is white.
    """

    upper: Pillow.Image
    lower: Pillow.Image | None
    has_pairs: bool
    maximum: int
    is_negative: bool

    @property
    def mode(self) -> str:
        """Mode of the colours: L, RGB, CMYK or LAB."""
        if self.upper.mode in _GREY_MODES or self.upper.mode in _DEEP_GREY_MODES or self.has_pairs:
            return "L"
        return self.upper.mode if self.upper.mode in {"CMYK", "LAB"} else "RGB"

    @property
    def is_deep(self) -> bool:
        """True if levels of more than 8 bits are known."""
        return self.lower is not None or self.upper.mode in _DEEP_GREY_MODES or self.has_pairs

    @property
    def is_plain(self) -> bool:
        """True for 8-bit RGB without transparency."""
        return self.upper.mode == "RGB" and not self.is_deep and not self.upper.has_transparency_data

    def bands(self, reduction: NDArray[np.uint8]) -> Iterator[tuple[int, Band]]:
        """Bands with their first rows. ``reduction`` are the 8-bit levels of 65,536 levels."""
        width, height = self.upper.size
        row_count = max(_BAND_PIXELS // width, 1)
        for top in range(0, height, row_count):
            edges = (0, top, width, min(top + row_count, height))
            yield top, self._deep_band(edges, reduction) if self.is_deep else _band(self.upper.crop(edges))

    def _deep_band(self, edges: tuple[int, int, int, int], reduction: NDArray[np.uint8]) -> Band:
        upper = np.asarray(self.upper.crop(edges))
        if self.has_pairs:  # the four bytes of grey and alpha, decoded as RGBA
            levels = upper.view(">u2").astype(np.uint16)
        elif self.lower is None:
            levels = upper.astype(np.uint16)[..., None]
        else:
            levels = upper.astype(np.uint16) << 8 | np.asarray(self.lower.crop(edges))
        if self.maximum != 65535:
            levels = np.minimum(levels.astype(np.uint32) * 65535 // self.maximum, 65535).astype(np.uint16)
        if self.is_negative:
            levels = 65535 - levels
        colour_count = levels.shape[2] - (levels.shape[2] in {2, 4})
        colours = reduction[levels[..., :colour_count]]
        picture = Pillow.fromarray(colours[..., 0] if colour_count == 1 else colours)
        return picture, self._deep_alpha(levels, colour_count)

    def _deep_alpha(self, levels: Levels, colour_count: int) -> Pillow.Image | None:
        if levels.shape[2] > colour_count:
            return Pillow.fromarray(np.round(levels[..., -1] / 257.0).astype(np.uint8))
        clear = self.upper.info.get("transparency")
        if clear is None:
            return None
        return Pillow.fromarray(np.where((levels == np.uint16(clear)).all(axis=2), 0, 255).astype(np.uint8))


def decode_pixels(
    opened: ImageFile.ImageFile, reopen: Callable[[], ImageFile.ImageFile], facts: FileFacts
) -> DecodedPixels:
    """Decodes an opened file; ``reopen()`` opens the file again, for lower bytes. Raises what Pillow raises."""
    lower: ImageFile.ImageFile | None = None
    raw_mode = _raw_mode(opened)
    has_pairs = raw_mode == _DEEP_GREY_AND_ALPHA
    if has_pairs:
        _read_as(opened, "RGBA")
    elif raw_mode[:-1] in _DEEP_RAW_MODES:
        lower = reopen()
        _read_as(lower, raw_mode[:-1] + _OTHER_BYTE[raw_mode[-1]])
        lower.load()
    opened.load()
    return DecodedPixels(opened, lower, has_pairs, 4095 if facts.bit_count == 12 else 65535, facts.is_negative)


def _raw_mode(opened: ImageFile.ImageFile) -> str:
    if not opened.tile:
        return ""
    arguments = opened.tile[0].args
    return str(arguments[0] if isinstance(arguments, tuple) else arguments)


def _read_as(opened: ImageFile.ImageFile, raw_mode: str) -> None:
    opened.tile = [
        tile._replace(args=(raw_mode, *tile.args[1:]) if isinstance(tile.args, tuple) else raw_mode)
        for tile in opened.tile
    ]


def _band(picture: Pillow.Image) -> Band:
    alpha = None
    if picture.has_transparency_data:
        clear = picture.convert("RGBA")
        alpha = clear.getchannel("A")
        picture = clear if picture.mode not in _GREY_MODES else picture
    if picture.mode in _GREY_MODES:
        return picture.convert("L") if picture.mode != "La" else picture.convert("LA").convert("L"), alpha
    return picture if picture.mode in {"CMYK", "LAB"} else picture.convert("RGB"), alpha
