"""The result of reading a container."""

from __future__ import annotations

from dataclasses import dataclass

from engine.api.picture_report import PictureIssue
from engine.media.colour.conversion import ColourTag


@dataclass(frozen=True, slots=True)
class FileFacts:
    """Facts that the container of a picture states before the picture is decoded.

    ``data`` is what the decoder gets: the file, without chunks that the decoder does not need. ``frame_count`` and
    ``page_count`` stop at ``MOST_FRAMES``. ``bit_count`` is that of a channel, None if the decoder gives 8 bits.
    ``tag`` is None if the decoder finds the profile. ``refusal`` completes "the picture …" for a file that is not
    decoded. ``is_turned``: its decoder turns the picture upright. ``is_negative``: 0 is white, and the decoder leaves
    that to us. ``size_px`` is the size that is checked before the decoder opens the file, None if opening it takes no
    memory; ``coded_pixel_count`` is what the decoder may have to hold, None if that is width times height.
    """

    data: bytes
    frame_count: int = 1
    page_count: int = 1
    bit_count: int | None = None
    tag: ColourTag = None
    issues: tuple[PictureIssue, ...] = ()
    refusal: str | None = None
    is_turned: bool = False
    is_negative: bool = False
    size_px: tuple[int, int] | None = None
    coded_pixel_count: int | None = None


MOST_FRAMES = 1000
DAMAGED = "is damaged or cut short; send the whole file again"
