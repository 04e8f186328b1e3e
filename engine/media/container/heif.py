"""Facts of AVIF and HEIC files: colours by number, sequences, and the size of what AVIF's decoder has to hold.

The decoder of AVIF decodes frames of any size and scales them to the size that the container states, so that a small
file that states a small picture may take any memory. libheif compares the two before it decodes.
"""

from __future__ import annotations

from engine.api.picture_report import PictureIssue
from engine.media.colour.space import space_of_codes
from engine.media.container.boxes import BoxesDamagedError, ItemFile, read_boxes
from engine.media.container.facts import DAMAGED, FileFacts

_SEQUENCE_HEADER = 1  # OBU types of AV1, section 6.2.2


def read_avif(data: bytes) -> FileFacts:
    """Facts of an AVIF file. ``coded_pixel_count`` sums over all coded items: tiles, transparency, thumbnails."""
    try:
        file = read_boxes(data, b"av01")
        pixel_count = sum(map(_coded_pixel_count, file.items))
    except BoxesDamagedError:
        return FileFacts(data, refusal=DAMAGED)
    return _facts(data, file, pixel_count)


def read_heif(data: bytes) -> FileFacts:
    """Facts of a HEIC file."""
    try:
        return _facts(data, read_boxes(data), None)
    except BoxesDamagedError:
        return FileFacts(data, refusal=DAMAGED)


def _facts(data: bytes, file: ItemFile, coded_pixel_count: int | None) -> FileFacts:
    if file.is_sequence:
        return FileFacts(data, refusal="is an animation; send one still picture")
    if file.colour_codes is None:
        return FileFacts(data, coded_pixel_count=coded_pixel_count)
    space = space_of_codes(*file.colour_codes)
    issues = (PictureIssue.PROFILE_DAMAGED,) if space is None else ()
    return FileFacts(data, tag=space, issues=issues, coded_pixel_count=coded_pixel_count)


def _coded_pixel_count(item: bytes) -> int:
    """The largest frame that an AV1 item may hold, by its sequence headers. Raises ``BoxesDamagedError``."""
    largest, place = 0, 0
    while place < len(item):
        header = item[place]
        kind, has_extension, has_size = header >> 3 & 15, header >> 2 & 1, header >> 1 & 1
        place += 1 + has_extension
        if has_size:
            size, place = _leb128(item, place)
        else:
            size = len(item) - place
        if place + size > len(item):
            raise BoxesDamagedError
        if kind == _SEQUENCE_HEADER:
            largest = max(largest, _frame_pixel_count(item[place : place + size]))
        place += size
    if not largest:
        raise BoxesDamagedError
    return largest


def _leb128(data: bytes, place: int) -> tuple[int, int]:
    """A number in AV1's leb128 (section 4.10.5), and the place after it."""
    value = 0
    for index in range(8):
        if place >= len(data):
            break
        byte = data[place]
        place += 1
        value |= (byte & 0x7F) << 7 * index
        if not byte & 0x80:
            return value, place
    raise BoxesDamagedError


class _Bits:
    """Reads bits from the most significant on."""

    def __init__(self, data: bytes) -> None:
        self._value, self._left = int.from_bytes(data[:64], "big"), 8 * len(data[:64])

    def number(self, bit_count: int) -> int:
        if bit_count > self._left:
            raise BoxesDamagedError
        self._left -= bit_count
        return self._value >> self._left & ((1 << bit_count) - 1)

    def skip_uvlc(self) -> None:
        zeros = 0
        while not self.number(1):
            zeros += 1
        self.number(min(zeros, 32))


def _frame_pixel_count(header: bytes) -> int:
    """Largest width times largest height of a sequence header (AV1, section 5.5.1)."""
    bits = _Bits(header)
    bits.number(3)  # profile
    bits.number(1)  # still picture
    if bits.number(1):  # reduced header
        bits.number(5)
    else:
        has_decoder_model = _skip_timing(bits)
        delay_bits = bits.number(5) + 1 if has_decoder_model == 1 else 0
        if has_decoder_model == 1:
            bits.number(32)
            bits.number(10)
        has_display_delay = bits.number(1)
        for _ in range(bits.number(5) + 1):
            _skip_operating_point(bits, delay_bits, has_display_delay)
    width_bits, height_bits = bits.number(4) + 1, bits.number(4) + 1
    return (bits.number(width_bits) + 1) * (bits.number(height_bits) + 1)


def _skip_timing(bits: _Bits) -> int:
    if not bits.number(1):
        return 0
    bits.number(64)
    if bits.number(1):
        bits.skip_uvlc()
    return bits.number(1)


def _skip_operating_point(bits: _Bits, delay_bits: int, has_display_delay: int) -> None:
    bits.number(12)
    if bits.number(5) > 7:
        bits.number(1)
    if delay_bits and bits.number(1):
        bits.number(2 * delay_bits + 1)
    if has_display_delay and bits.number(1):
        bits.number(4)
