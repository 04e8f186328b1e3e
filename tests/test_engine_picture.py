"""Picture files, valid and hostile: which are accepted, which are refused and why, and how a picture is cropped."""

from __future__ import annotations

import io
import struct
import warnings
import zlib

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image as Pillow
from PIL import ImageOps

from engine.api.capabilities import Geometry, Limits
from engine.api.errors import InvalidJob
from engine.api.fields import Field
from engine.api.media import Box, Image, ImageFormat
from engine.media.fitting import center_crop, choose_geometry, fit_picture
from engine.media.picture import decode_picture
from tests.picture_files import chunk, png_of
from tests.picture_files import file_of as _file

_NOISE = np.random.default_rng(0).integers(0, 256, (32, 48, 3), dtype=np.uint8)


def _png(width_px: int, height_px: int, depth: int, colour_type: int, rows: bytes = b"") -> bytes:
    """A PNG file written chunk by chunk (PNG specification, section 5), so that it may lie."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width_px, height_px, depth, colour_type, 0, 0, 0)
    data = chunk(b"IDAT", zlib.compress(rows))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + data + chunk(b"IEND", b"")


def _decode(data: bytes, stated: ImageFormat | None = None) -> NDArray[np.uint8]:
    picture = decode_picture(Image(data, stated), Limits()).upright
    assert picture.mode == "RGB"
    return np.asarray(picture)


def _refusal(data: bytes, stated: ImageFormat | None = None, limits: Limits = Limits()) -> str:
    with pytest.raises(InvalidJob) as refused:
        decode_picture(Image(data, stated), limits)
    (violation,) = refused.value.violations
    assert violation.field == (Field.IMAGE_FORMAT if "says" in violation.description else Field.IMAGE_DATA)
    return violation.description


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_a_lossless_picture_keeps_every_pixel(kind: str) -> None:
    np.testing.assert_array_equal(_decode(_file(_NOISE, kind, lossless=True), ImageFormat(kind)), _NOISE)


def test_a_jpeg_keeps_its_colour() -> None:
    red = np.full((16, 16, 3), (200, 30, 40), np.uint8)
    np.testing.assert_allclose(_decode(_file(red, "JPEG", quality=100), ImageFormat.JPEG), red, atol=2)


def test_no_data() -> None:
    assert _refusal(b"") == "is empty; send a PNG, JPEG, WebP, GIF, BMP, TIFF or AVIF file"


def test_a_file_above_the_limit_of_bytes() -> None:
    data = _file(_NOISE)
    at_limit = Limits(max_image_bytes=len(data))
    assert decode_picture(Image(data), at_limit).upright.size == (48, 32)
    said = _refusal(data, limits=Limits(max_image_bytes=len(data) - 1))
    assert said.startswith(f"holds {len(data)} bytes, more than the limit of {len(data) - 1}; send a smaller picture")


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "AVIF"])
@pytest.mark.parametrize("share", [0.02, 0.3, 0.6, 0.9])
def test_a_file_that_is_cut_short(kind: str, share: float) -> None:
    data = _file(_NOISE, kind)
    said = _refusal(data[: int(len(data) * share)])
    assert "cut short" in said or said.startswith("is no picture of a known format")


@pytest.mark.parametrize("size", [(0, 0), (0, 5), (5, 0)])
def test_a_picture_without_pixels(size: tuple[int, int]) -> None:
    assert "is damaged, cut short or of a rare kind" in _refusal(_png(*size, 8, 2))


def test_a_huge_picture_is_refused_by_its_header() -> None:
    """The file holds no pixels at all: whoever decoded it would complain of that."""
    said = _refusal(_png(20_000, 20_000, 8, 2))
    assert said == "is 20000x20000 pixels, more than the limit of 50000000; scale it down first"


def test_a_picture_longer_than_twenty_to_one() -> None:
    said = _refusal(_file(Pillow.new("RGB", (2, 41))))
    assert said == "is 2x41 pixels, longer than 20 to 1; crop it to the part that should move"
    assert _decode(_file(Pillow.new("RGB", (2, 40)))).shape == (40, 2, 3)


@pytest.mark.parametrize(("kind", "name"), [("PNG", "a PNG"), ("WEBP", "a WebP"), ("GIF", "a GIF")])
def test_an_animation(kind: str, name: str) -> None:
    others = [Pillow.fromarray(255 - _NOISE), Pillow.fromarray(_NOISE // 2)]
    data = _file(_NOISE, kind, save_all=True, append_images=others)
    assert _refusal(data) == f"is {name} animation of 3 frames; send one still picture"


def test_an_animated_avif() -> None:
    data = _file(_NOISE, "AVIF", save_all=True, append_images=[Pillow.fromarray(255 - _NOISE)])
    assert _refusal(data) == "is an animation; send one still picture"


def test_a_photograph_with_a_second_picture_behind_it_is_a_jpeg() -> None:
    """Telephones store a gain map, a depth map or the other eye in the same file (CIPA DC-007)."""
    second = Pillow.new("RGB", (48, 32))
    data = _file(_NOISE, "MPO", save_all=True, append_images=[second])
    expected = np.asarray(Pillow.open(io.BytesIO(_file(_NOISE, "JPEG"))))
    np.testing.assert_array_equal(_decode(data, ImageFormat.JPEG), expected)


_DEEP = np.random.default_rng(1).integers(0, 65536, (24, 31, 4)).astype(np.uint16)
_ROUNDED = np.round(_DEEP / 257.0)


def test_sixteen_bits_of_grey_are_rounded() -> None:
    np.testing.assert_array_equal(_decode(png_of(_DEEP[..., :1])), np.repeat(_ROUNDED[..., :1], 3, axis=2))


def test_sixteen_bits_of_colour_are_rounded() -> None:
    np.testing.assert_array_equal(_decode(png_of(_DEEP[..., :3])), _ROUNDED[..., :3])


@pytest.mark.parametrize("channel_count", [2, 4])
def test_sixteen_bits_with_transparency_are_rounded_and_laid_on_white(channel_count: int) -> None:
    found = _decode(png_of(_DEEP[..., :channel_count]))
    alpha = _ROUNDED[..., channel_count - 1 : channel_count] / 255.0
    wanted = _ROUNDED[..., : channel_count - 1] * alpha + 255.0 * (1.0 - alpha)
    assert np.abs(found - wanted).max() <= 0.51


@pytest.mark.parametrize("channel_count", [1, 3])
def test_a_clear_colour_of_sixteen_bits_is_that_colour_alone(channel_count: int) -> None:
    pixels = np.full((4, 4, channel_count), 0x1234, np.uint16)
    pixels[0, 0] = 0x1235  # the same in 8 bits
    values = b"\x12\x34" * channel_count
    found = _decode(png_of(pixels, chunk(b"tRNS", values)))
    assert found[0, 0].tolist() == [18, 18, 18]
    assert (found.reshape(-1, 3)[1:] == 255).all()


@pytest.mark.parametrize("compression", ["raw", "tiff_lzw", "tiff_adobe_deflate"])
def test_sixteen_bits_of_grey_in_a_tiff(compression: str) -> None:
    levels = np.linspace(0, 65535, 48 * 32).reshape(32, 48).astype(np.uint16)
    found = _decode(_file(Pillow.fromarray(levels), "TIFF", compression=compression))
    np.testing.assert_array_equal(found, np.repeat(np.round(levels / 257.0)[..., None], 3, axis=2))


def _tiff(pixels: NDArray[np.uint16], order: str, photometric: int) -> bytes:
    """A TIFF file of one strip of 16-bit channels (TIFF 6.0, section 2)."""
    height, width, channel_count = pixels.shape
    rows = pixels.astype(f"{order}u2").tobytes()
    bits_offset = 8 + 2 + 9 * 12 + 4
    bits = struct.pack(f"{order}{channel_count}H", *[16] * channel_count)
    bits_value = bits.ljust(4, b"\0") if channel_count < 3 else struct.pack(f"{order}I", bits_offset)
    data_offset = bits_offset + len(bits)

    def entry(tag: int, value: int, kind: int = 4) -> bytes:
        packed = struct.pack(f"{order}I", value) if kind == 4 else struct.pack(f"{order}Hxx", value)
        return struct.pack(f"{order}HHI", tag, kind, 1) + packed

    entries = [entry(256, width), entry(257, height), struct.pack(f"{order}HHI", 258, 3, channel_count) + bits_value]
    entries += [entry(259, 1, 3), entry(262, photometric, 3), entry(273, data_offset), entry(277, channel_count, 3)]
    entries += [entry(278, height), entry(279, len(rows))]
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}IH", 8, len(entries))
    return head + b"".join(entries) + bytes(4) + bits + rows


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(("channel_count", "photometric"), [(1, 1), (3, 2)])
def test_sixteen_bits_in_a_tiff_of_either_byte_order(channel_count: int, photometric: int, order: str) -> None:
    found = _decode(_tiff(_DEEP[..., :channel_count], order, photometric))
    np.testing.assert_array_equal(found, np.broadcast_to(_ROUNDED[..., :channel_count], found.shape))


def test_grey_of_sixteen_bits_where_zero_is_white() -> None:
    found = _decode(_tiff(_DEEP[..., :1], "<", 0))
    np.testing.assert_array_equal(found, np.broadcast_to(np.round((65535 - _DEEP[..., :1]) / 257.0), found.shape))


def test_a_format_that_the_data_does_not_have() -> None:
    assert _refusal(_file(_NOISE), ImageFormat.JPEG) == "says JPEG but the data is PNG"
    assert _refusal(_file(_NOISE, "JPEG"), ImageFormat.WEBP) == "says WEBP but the data is JPEG"


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize(
    ("orientation", "upright"),
    [
        (1, _NOISE),
        (2, np.fliplr(_NOISE)),
        (3, np.rot90(_NOISE, 2)),
        (4, np.flipud(_NOISE)),
        (5, _NOISE.transpose(1, 0, 2)),
        (6, np.rot90(_NOISE, -1)),
        (7, np.rot90(_NOISE, 2).transpose(1, 0, 2)),
        (8, np.rot90(_NOISE, 1)),
    ],
)
def test_a_picture_is_turned_as_its_camera_was_held(orientation: int, upright: NDArray[np.uint8], kind: str) -> None:
    exif = Pillow.Exif()
    exif[0x0112] = orientation
    np.testing.assert_array_equal(_decode(_file(_NOISE, kind, exif=exif, lossless=True)), upright)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_an_avif_is_turned_as_its_camera_was_held(orientation: int) -> None:
    exif = Pillow.Exif()
    exif[0x0112] = orientation
    options = {"exif": exif.tobytes()}
    quarters = np.zeros((64, 96, 3), np.uint8)
    quarters[:32, :48] = 255
    found = _decode(_file(quarters, "AVIF", **options))
    wanted = np.asarray(ImageOps.exif_transpose(Pillow.open(io.BytesIO(_file(quarters, "PNG", **options)))))
    assert found.shape == wanted.shape
    assert np.abs(found.astype(int) - wanted).mean() < 8.0


@pytest.mark.parametrize(
    ("mode", "colour", "on_white"),
    [
        ("RGBA", (255, 0, 0, 0), (255, 255, 255)),
        ("RGBA", (255, 0, 0, 128), (255, 127, 127)),
        ("RGBA", (255, 0, 0, 255), (255, 0, 0)),
        ("LA", (0, 51), (204, 204, 204)),
    ],
)
def test_transparency_is_laid_on_white(mode: str, colour: tuple[int, ...], on_white: tuple[int, int, int]) -> None:
    data = _file(Pillow.new(mode, (4, 4), colour))
    assert _decode(data)[0, 0].tolist() == list(on_white)


def test_a_palette_is_resolved_and_its_clear_colour_is_white() -> None:
    picture = Pillow.new("P", (2, 1))
    picture.putpalette([10, 20, 30, 40, 50, 60])
    picture.putpixel((1, 0), 1)
    assert _decode(_file(picture)).tolist() == [[[10, 20, 30], [40, 50, 60]]]
    assert _decode(_file(picture, transparency=1)).tolist() == [[[10, 20, 30], [255, 255, 255]]]


@pytest.mark.parametrize(("mode", "value", "shade"), [("1", 1, 255), ("L", 77, 77)])
def test_a_grey_picture_becomes_colour(mode: str, value: int, shade: int) -> None:
    assert _decode(_file(Pillow.new(mode, (3, 2), value))).tolist() == [[[shade] * 3] * 3] * 2


def test_printing_colours_become_screen_colours() -> None:
    data = _file(Pillow.new("CMYK", (16, 16), (0, 255, 255, 0)), "JPEG", quality=100)
    np.testing.assert_allclose(_decode(data), np.full((16, 16, 3), (255, 0, 0)), atol=3)


_VALID = [
    _file(_NOISE),
    _file(_NOISE, "JPEG"),
    _file(_NOISE, "WEBP"),
    _file(Pillow.fromarray(_NOISE).convert("P"), transparency=3),
    _file(Pillow.fromarray(_NOISE).convert("LA")),
    _file(_NOISE, "MPO", save_all=True, append_images=[Pillow.new("RGB", (8, 8))]),
    _file(_NOISE, save_all=True, append_images=[Pillow.fromarray(255 - _NOISE)]),
    *(_file(_NOISE, kind) for kind in ("GIF", "BMP", "TIFF", "AVIF")),
    _file(_NOISE, "TIFF", compression="tiff_lzw"),
    png_of(np.full((8, 8, 4), 777, np.uint16)),
]


@st.composite
def _damaged(draw: st.DrawFn) -> bytes:
    """A valid file with some bytes changed, mostly in its headers, and perhaps cut."""
    data = bytearray(draw(st.sampled_from(_VALID)))
    for _ in range(draw(st.integers(1, 8))):
        reach = draw(st.sampled_from([64, len(data)]))
        data[draw(st.integers(0, reach - 1))] = draw(st.integers(0, 255))
    return bytes(data[: draw(st.one_of(st.just(len(data)), st.integers(0, len(data))))])


@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.one_of(st.binary(max_size=200), _damaged()))
def test_damage_is_refused_and_nothing_worse(data: bytes) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow warns of what it then raises for
        outcome = _outcome(data)
    assert outcome in {"RGB", (Field.IMAGE_DATA,)}


def _outcome(data: bytes) -> str | tuple[Field, ...]:
    """The mode of the picture, or the fields that were refused."""
    try:
        return decode_picture(Image(data), Limits(max_image_pixel_count=100_000)).upright.mode
    except InvalidJob as error:
        return tuple(item.field for item in error.violations)


_SIDES = st.integers(1, 600)
_CELLS = st.integers(1, 80).map(lambda cells: cells * 16)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(_SIDES, _SIDES, _CELLS, _CELLS)
def test_a_crop_keeps_the_aspect_and_as_much_of_the_picture_as_it_can(
    width: int, height: int, clip_width: int, clip_height: int
) -> None:
    assume(max(width, height) <= 20 * min(width, height))
    crop = center_crop(Pillow.new("1", (width, height)), Geometry(clip_width, clip_height, 9))
    assert 0 < crop.width_px <= width
    assert 0 < crop.height_px <= height
    assert crop.width_px == width or crop.height_px == height
    assert abs(width - crop.width_px - 2 * crop.left_px) <= 1
    assert abs(height - crop.height_px - 2 * crop.top_px) <= 1
    # Within a pixel of the clip's aspect, on whichever side was cut.
    error = abs(crop.width_px * clip_height - crop.height_px * clip_width)
    assert error <= max(clip_width, clip_height)


def test_a_crop_without_scaling_is_the_middle_itself() -> None:
    geometry = Geometry(32, 32, 9)
    crop = center_crop(Pillow.fromarray(_NOISE), geometry)
    assert crop == Box(8, 0, 32, 32)
    np.testing.assert_array_equal(fit_picture(Pillow.fromarray(_NOISE), crop, geometry), _NOISE[:, 8:40])


def test_a_picture_of_the_clips_size_is_left_untouched() -> None:
    geometry = Geometry(48, 32, 9)
    crop = center_crop(Pillow.fromarray(_NOISE), geometry)
    assert crop == Box(0, 0, 48, 32)
    np.testing.assert_array_equal(fit_picture(Pillow.fromarray(_NOISE), crop, geometry), _NOISE)


def test_the_clip_takes_the_size_of_the_nearest_aspect() -> None:
    wide, square, tall = Geometry(96, 64, 9), Geometry(64, 64, 9), Geometry(64, 96, 9)
    sizes = [square, wide, tall]
    chosen = [choose_geometry(Pillow.new("1", size), sizes) for size in ((300, 200), (101, 100), (20, 30), (500, 50))]
    assert chosen == [wide, square, tall, wide]
    assert choose_geometry(Pillow.new("1", (9, 9)), [square, Geometry(32, 32, 9)]) is square  # the first of equals
