"""Colours of picture files in sRGB, compared with the formulas of the standards in double precision."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image as Pillow

from engine.api.capabilities import Limits
from engine.api.media import Image
from engine.api.picture_report import PictureIssue
from engine.media.picture import decode_picture
from tests.picture_files import (
    chrm,
    chunk,
    cmyk_profile,
    file_of,
    gama,
    grey_profile,
    icc_profile,
    iccp,
    png_of,
    power_curve,
    rgb_profile,
    srgb_curve,
    without_jpeg_segment,
)

Floats = NDArray[np.float64]
Curve = Callable[[Floats], Floats]
D50 = np.array([0.9642, 1.0, 0.8249])
D65_POINT = (0.3127, 0.3290)
SRGB = ((0.64, 0.33), (0.30, 0.60), (0.15, 0.06), D65_POINT)
DISPLAY_P3 = ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060), D65_POINT)
ADOBE_RGB = ((0.64, 0.33), (0.21, 0.71), (0.15, 0.06), D65_POINT)
PROPHOTO = ((0.7347, 0.2653), (0.1596, 0.8404), (0.0366, 0.0001), (0.3457, 0.3585))
REC2020 = ((0.708, 0.292), (0.170, 0.797), (0.131, 0.046), D65_POINT)
BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])


def columns_of(points: tuple[tuple[float, float], ...]) -> Floats:
    """XYZ of primaries, adapted to D50 (Lindbloom's derivation, Bradford)."""
    *primaries, white_point = (np.array([x / y, 1.0, (1 - x - y) / y]) for x, y in points)
    matrix = np.array(primaries).T
    adapt = np.linalg.inv(BRADFORD) @ np.diag((BRADFORD @ D50) / (BRADFORD @ white_point)) @ BRADFORD
    columns: Floats = adapt @ (matrix * np.linalg.solve(matrix, white_point))
    return columns


def srgb_light(levels: Floats) -> Floats:
    return np.where(levels <= 0.04045, levels / 12.92, ((levels + 0.055) / 1.055) ** 2.4)


def srgb_levels(light: Floats) -> Floats:
    light = np.clip(light, 0.0, 1.0)
    return 255.0 * np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)


def expected(levels: Floats, points: tuple[tuple[float, float], ...], light: Curve) -> Floats:
    """sRGB levels 0..255 of levels 0..1 [..., 3] of an RGB space."""
    to_srgb = np.linalg.inv(columns_of(SRGB)) @ columns_of(points)
    return srgb_levels(light(levels) @ to_srgb.T)


def power(exponent: float) -> Curve:
    return lambda levels: levels**exponent


def decoded(data: bytes) -> tuple[NDArray[np.int64], tuple[PictureIssue, ...]]:
    picture = decode_picture(Image(data), Limits())
    return np.asarray(picture.upright).astype(np.int64), picture.issues


_LEVELS = np.stack(np.meshgrid(*[np.arange(0, 256, 17, dtype=np.uint8)] * 3), axis=-1).reshape(64, 64, 3)
_SPACES: dict[str, tuple[tuple[tuple[float, float], ...], bytes, Curve]] = {
    "Display P3": (DISPLAY_P3, srgb_curve(), srgb_light),
    "Adobe RGB": (ADOBE_RGB, power_curve(563 / 256), power(563 / 256)),
    "ProPhoto": (PROPHOTO, power_curve(1.8), power(1.8)),
    "Rec. 2020": (REC2020, power_curve(2.4), power(2.4)),
    "linear": (SRGB, power_curve(1.0), power(1.0)),
}


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP", "AVIF"])
@pytest.mark.parametrize("name", _SPACES)
def test_a_profile_of_a_display(name: str, kind: str) -> None:
    points, curve, light = _SPACES[name]
    lossless: dict[str, dict[str, Any]] = {
        "WEBP": {"lossless": True, "exact": True},
        "AVIF": {"quality": 100, "subsampling": "4:4:4"},
    }
    data = file_of(_LEVELS, kind, icc_profile=rgb_profile(columns_of(points), curve), **lossless.get(kind, {}))
    found, issues = decoded(data)
    stored = np.asarray(Pillow.open(io.BytesIO(data)).convert("RGB")) / 255.0  # AVIF at its best is off by a level
    assert np.abs(found - expected(stored, points, light)).max() <= 2.0
    assert issues == (PictureIssue.CONVERTED,)


def test_a_profile_in_a_jpeg() -> None:
    """A plain colour, which JPEG keeps: P3's (200, 40, 30)."""
    profile = rgb_profile(columns_of(DISPLAY_P3), srgb_curve())
    data = file_of(np.full((16, 16, 3), (200, 40, 30), np.uint8), "JPEG", quality=100, icc_profile=profile)
    stored = np.asarray(Pillow.open(io.BytesIO(data))) / 255.0
    assert np.abs(decoded(data)[0] - expected(stored, DISPLAY_P3, srgb_light)).max() <= 2.0


@pytest.mark.parametrize("profile", [rgb_profile(columns_of(SRGB), srgb_curve()), None], ids=["sRGB", "none"])
def test_srgb_changes_no_level(profile: bytes | None) -> None:
    found, issues = decoded(file_of(_LEVELS, icc_profile=profile))
    np.testing.assert_array_equal(found, _LEVELS)
    assert issues == ()


def test_transparent_pixels_are_converted_and_then_laid_on_white() -> None:
    colour = np.array([200, 40, 30])
    pixels = np.concatenate([np.tile(colour, (8, 8, 1)), np.full((8, 8, 1), 128)], axis=2).astype(np.uint8)
    found, _ = decoded(png_of(pixels, iccp(rgb_profile(columns_of(DISPLAY_P3), srgb_curve()))))
    in_srgb = expected(colour / 255.0, DISPLAY_P3, srgb_light)
    assert np.abs(found - (in_srgb * 128 + 255 * 127) / 255).max() <= 2.0


@pytest.mark.parametrize("mode", ["L", "LA"])
def test_a_profile_of_grey(mode: str) -> None:
    ramp = np.tile(np.arange(256, dtype=np.uint8), (16, 1))
    picture = Pillow.fromarray(ramp)
    if mode == "LA":
        picture.putalpha(255)
    found, issues = decoded(file_of(picture, icc_profile=grey_profile(power_curve(1.8))))
    wanted = srgb_levels((ramp / 255.0) ** 1.8)
    assert np.abs(found - wanted[..., None]).max() <= 1.5
    assert PictureIssue.CONVERTED in issues


def test_a_grey_picture_with_a_profile_of_rgb_is_taken_as_neutral_rgb() -> None:
    ramp = np.tile(np.arange(256, dtype=np.uint8), (16, 1))
    found, _ = decoded(
        file_of(ramp, "JPEG", quality=100, icc_profile=rgb_profile(columns_of(ADOBE_RGB), power_curve(1.0)))
    )
    stored = np.asarray(Pillow.open(io.BytesIO(file_of(ramp, "JPEG", quality=100)))) / 255.0
    assert np.abs(found - srgb_levels(stored)[..., None]).max() <= 2.0


def _lab_at_corners() -> dict[tuple[int, int, int, int], tuple[float, float, float]]:
    """Colours of an offset press for no ink, one ink and two; everything with black ink is black."""
    without_black = {
        (0, 0, 0): (100.0, 0.0, 0.0),
        (1, 0, 0): (62.0, -31.0, -48.0),
        (0, 1, 0): (54.0, 74.0, -3.0),
        (0, 0, 1): (95.0, -6.0, 93.0),
        (1, 1, 0): (26.0, 17.0, -44.0),
        (1, 0, 1): (57.0, -66.0, 33.0),
        (0, 1, 1): (53.0, 68.0, 48.0),
        (1, 1, 1): (0.0, 0.0, 0.0),
    }
    return {
        (*inks, black): (0.0, 0.0, 0.0) if black else lab for inks, lab in without_black.items() for black in (0, 1)
    }


def lab_to_srgb(lab: tuple[float, float, float]) -> Floats:
    """CIE 15: L*a*b* with D50 to XYZ; then to sRGB."""
    f_y = (lab[0] + 16) / 116
    f = np.array([f_y + lab[1] / 500, f_y, f_y - lab[2] / 200])
    xyz = D50 * np.where(f > 6 / 29, f**3, 3 * (6 / 29) ** 2 * (f - 4 / 29))
    return srgb_levels(np.linalg.inv(columns_of(SRGB)) @ xyz)


@pytest.mark.parametrize("kind", ["TIFF", "JPEG", "JPEG without Adobe's marker"])
@pytest.mark.parametrize("inks", [(0, 0, 0, 0), (1, 0, 0, 0), (0, 1, 0, 0), (0, 0, 1, 0), (1, 1, 0, 0), (0, 0, 0, 1)])
def test_a_profile_of_printing_inks(inks: tuple[int, int, int, int], kind: str) -> None:
    lab_at = _lab_at_corners()
    picture = Pillow.new("CMYK", (16, 16), tuple(255 * ink for ink in inks))
    options = {} if kind == "TIFF" else {"quality": 100}
    data = file_of(picture, kind[:4], icc_profile=cmyk_profile(lab_at), **options)
    if kind == "JPEG without Adobe's marker":
        data = without_jpeg_segment(data, 0xEE)
    found, issues = decoded(data)
    assert np.abs(found - lab_to_srgb(lab_at[inks])).max() <= 3.0
    assert issues == (PictureIssue.CONVERTED,)


def test_lab() -> None:
    """L* 0..100 as 0..255, a* and b* as signed bytes (TIFF 6.0, section 23)."""
    colours = [(0, 0, 0), (255, 0, 0), (135, 74, -3), (145, -66, 33), (66, 17, -44)]
    picture = Pillow.frombytes("LAB", (5, 1), bytes(value % 256 for colour in colours for value in colour))
    found, issues = decoded(file_of(picture, "TIFF"))
    wanted = np.array([[lab_to_srgb((lightness / 2.55, a, b)) for lightness, a, b in colours]])
    assert np.abs(found - wanted).max() <= 3.0
    assert issues == (PictureIssue.CONVERTED,)


@pytest.mark.parametrize("gamma", [1.0, 1 / 1.8, 1 / 3.0, 0.25])
def test_a_gamma_without_chromaticities_changes_the_curve_only(gamma: float) -> None:
    found, issues = decoded(png_of(_LEVELS, gama(gamma)))
    stored_gamma = round(gamma * 100_000) / 100_000
    assert np.abs(found - srgb_levels((_LEVELS / 255.0) ** (1 / stored_gamma))).max() <= 0.51
    assert issues == (PictureIssue.CONVERTED,)


@pytest.mark.parametrize("gamma", [0.45455, 0.45, 0.47])
def test_a_gamma_near_that_of_srgb_means_srgb(gamma: float) -> None:
    found, issues = decoded(png_of(_LEVELS, gama(gamma), chrm(*SRGB)))
    np.testing.assert_array_equal(found, _LEVELS)
    assert issues == ()


@pytest.mark.parametrize("points", [DISPLAY_P3, ADOBE_RGB, PROPHOTO], ids=["P3", "Adobe", "ProPhoto"])
def test_a_gamma_with_chromaticities(points: tuple[tuple[float, float], ...]) -> None:
    found, _ = decoded(png_of(_LEVELS, gama(1 / 1.8), chrm(*points)))
    assert np.abs(found - expected(_LEVELS / 255.0, points, power(1.8))).max() <= 2.0


def test_grey_with_a_gamma() -> None:
    ramp = np.arange(256, dtype=np.uint8).reshape(16, 16, 1)
    found, _ = decoded(png_of(ramp, gama(1.0)))
    assert np.abs(found - srgb_levels(ramp / 255.0)).max() <= 0.51


def _codes(primaries: int, transfer: int, matrix: int = 0, full: int = 1) -> bytes:
    return chunk(b"cICP", bytes((primaries, transfer, matrix, full)))


@pytest.mark.parametrize(
    ("codes", "points", "light"),
    [
        ((12, 13), DISPLAY_P3, srgb_light),
        ((9, 1), REC2020, srgb_light),
        ((9, 8), REC2020, power(1.0)),
        ((1, 4), SRGB, power(2.2)),
        ((1, 5), SRGB, power(2.8)),
    ],
)
def test_codes_of_h273(codes: tuple[int, int], points: tuple[tuple[float, float], ...], light: Curve) -> None:
    found, issues = decoded(png_of(_LEVELS, _codes(*codes)))
    assert np.abs(found - expected(_LEVELS / 255.0, points, light)).max() <= 2.0
    assert issues == (PictureIssue.CONVERTED,)


def _pq_signal(nits: float) -> float:
    """SMPTE ST 2084, equation 5.2."""
    y = (nits / 10_000) ** 0.1593017578125
    return float(((0.8359375 + 18.8515625 * y) / (1 + 18.6875 * y)) ** 78.84375)


@pytest.mark.parametrize(
    ("nits", "share"), [(0.0, 0.0), (10.0, 10 / 203), (100.0, 100 / 203), (203.0, 1.0), (1000.0, 1.0)]
)
def test_pq_shows_203_nits_as_white(nits: float, share: float) -> None:
    pixels = np.full((4, 4, 3), round(65535 * _pq_signal(nits)), np.uint16)
    found, issues = decoded(png_of(pixels, _codes(9, 16)))
    assert np.abs(found - srgb_levels(np.array(share))).max() <= 1.5
    assert PictureIssue.HDR in issues


@pytest.mark.parametrize(
    ("signal", "light"), [(0.0, 0.0), (0.5, (1 / 12) ** 1.2 * 1000 / 203), (0.75, 1.0), (1.0, 1.0)]
)
def test_hlg_shows_three_quarters_as_white(signal: float, light: float) -> None:
    pixels = np.full((4, 4, 3), round(65535 * signal), np.uint16)
    found, issues = decoded(png_of(pixels, _codes(9, 18)))
    assert np.abs(found - srgb_levels(np.array(light))).max() <= 1.5
    assert PictureIssue.HDR in issues


_P3_PROFILE = rgb_profile(columns_of(DISPLAY_P3), srgb_curve())
_BY_CHUNK = {
    "cICP": (_codes(9, 8), expected(_LEVELS / 255.0, REC2020, power(1.0))),
    "iCCP": (iccp(_P3_PROFILE), expected(_LEVELS / 255.0, DISPLAY_P3, srgb_light)),
    "sRGB": (chunk(b"sRGB", b"\0"), _LEVELS.astype(np.float64)),
    "gAMA": (gama(1.0), srgb_levels(_LEVELS / 255.0)),
}


@pytest.mark.parametrize("is_reversed", [False, True])
@pytest.mark.parametrize("first", range(4))
def test_the_chunk_that_comes_first_in_the_standard_wins(first: int, is_reversed: bool) -> None:
    """PNG third edition, section 4.3: cICP, iCCP, sRGB, then gAMA with cHRM, in whichever order they stand."""
    present = [content for content, _ in list(_BY_CHUNK.values())[first:]]
    found, issues = decoded(png_of(_LEVELS, *(reversed(present) if is_reversed else present)))
    assert np.abs(found - list(_BY_CHUNK.values())[first][1]).max() <= 2.0
    assert not {PictureIssue.PROFILE_DAMAGED, PictureIssue.PROFILE_MISMATCHED} & set(issues)


_DAMAGED, _MISMATCHED = PictureIssue.PROFILE_DAMAGED, PictureIssue.PROFILE_MISMATCHED
_TRC_ONLY = {b"rTRC": srgb_curve(), b"gTRC": srgb_curve(), b"bTRC": srgb_curve()}
_USELESS = {
    "empty": (iccp(b""), _DAMAGED),
    "no zlib": (chunk(b"iCCP", b"x\0\0nothing"), _DAMAGED),
    "no separator": (chunk(b"iCCP", b"x" * 40), _DAMAGED),
    "noise": (iccp(bytes(range(256)) * 8), _DAMAGED),
    "a bomb of 512 MiB": (chunk(b"iCCP", b"x\0\0" + zlib.compress(bytes(2**29), 9)), _DAMAGED),
    "cut": (iccp(_P3_PROFILE[:300]), _DAMAGED),
    "tags outside": (iccp(_P3_PROFILE[:136] + b"\xff" * 8 + _P3_PROFILE[144:]), None),
    "no primaries": (iccp(icc_profile(b"RGB ", _TRC_ONLY)), _DAMAGED),
    "a million tags": (iccp(_P3_PROFILE[:128] + b"\0\x0f\xff\xff" + _P3_PROFILE[132:]), _DAMAGED),
    "of CMYK": (iccp(cmyk_profile(_lab_at_corners())), _MISMATCHED),
    "of grey": (iccp(grey_profile(power_curve(1.0))), _MISMATCHED),
    "a device link": (iccp(icc_profile(b"RGB ", _TRC_ONLY, b"link", b"RGB ")), _MISMATCHED),
    "named colours": (iccp(icc_profile(b"RGB ", _TRC_ONLY, b"nmcl", b"Lab ")), _MISMATCHED),
    "gamma 0": (gama(0.0), _DAMAGED),
    "half a gamma": (chunk(b"gAMA", b"\0\0"), _DAMAGED),
    "primaries on a line": (gama(1.0) + chrm((0.3, 0.3), (0.3, 0.3), (0.3, 0.3), D65_POINT), _DAMAGED),
    "primaries of zeros": (gama(1.0) + chrm((0, 0), (0, 0), (0, 0), (0, 0)), _DAMAGED),
    "unknown codes": (_codes(77, 13), _DAMAGED),
    "codes of a studio range": (_codes(9, 13, full=0), _DAMAGED),
    "one code": (chunk(b"cICP", b"\1"), _DAMAGED),
}


@pytest.mark.parametrize("name", _USELESS)
def test_a_useless_profile_costs_a_finding_and_not_the_picture(name: str) -> None:
    content, issue = _USELESS[name]
    found, issues = decoded(png_of(_LEVELS, content))
    if issue is not None:
        np.testing.assert_array_equal(found, _LEVELS)
        assert issues == (issue,)
    assert found.shape == _LEVELS.shape


def test_a_profile_behind_a_useless_one_is_used() -> None:
    found, issues = decoded(png_of(_LEVELS, _codes(77, 13), iccp(_P3_PROFILE)))
    assert np.abs(found - _BY_CHUNK["iCCP"][1]).max() <= 2.0
    assert set(issues) == {PictureIssue.PROFILE_DAMAGED, PictureIssue.CONVERTED}


@pytest.mark.parametrize("kind", ["JPEG", "TIFF", "WEBP", "AVIF"])
@pytest.mark.parametrize("profile", [b"noise" * 40, cmyk_profile(_lab_at_corners())], ids=["damaged", "of CMYK"])
def test_a_useless_profile_in_other_formats(kind: str, profile: bytes) -> None:
    found, issues = decoded(file_of(_LEVELS, kind, icc_profile=profile))
    np.testing.assert_array_equal(found, decoded(file_of(_LEVELS, kind))[0])
    assert issues == (_MISMATCHED if profile[:5] != b"noise" else _DAMAGED,)


def test_a_profile_of_a_jpeg_of_which_a_part_is_missing() -> None:
    data = file_of(_LEVELS, "JPEG", icc_profile=_P3_PROFILE + bytes(100_000))
    second = data.index(b"ICC_PROFILE\0\x02")
    found, issues = decoded(data[:second] + b"XXX" + data[second + 3 :])
    np.testing.assert_array_equal(found, decoded(file_of(_LEVELS, "JPEG"))[0])
    assert issues == (_DAMAGED,)


def test_inks_with_a_useless_profile_are_converted_without() -> None:
    picture = Pillow.new("CMYK", (16, 16), (0, 255, 255, 0))
    found, issues = decoded(file_of(picture, "TIFF", icc_profile=_P3_PROFILE))
    assert found[0, 0].tolist() == [255, 0, 0]
    assert issues == (_MISMATCHED, PictureIssue.CMYK)


def test_a_chain_of_elements_is_not_run() -> None:
    """D2B1 may hold any number of elements; the profile without the tag is used."""
    chain = struct.pack(">4s4xHHI", b"mpet", 3, 3, 30_000) + bytes(100_000)
    profile = rgb_profile(columns_of(DISPLAY_P3), srgb_curve(), {b"D2B1": chain})
    found, issues = decoded(png_of(_LEVELS, iccp(profile)))
    assert np.abs(found - _BY_CHUNK["iCCP"][1]).max() <= 2.0
    assert issues == (PictureIssue.CONVERTED,)


def test_a_profile_in_a_bmp() -> None:
    """BITMAPV5HEADER with an embedded profile at its end."""
    rows = np.ascontiguousarray(_LEVELS[::-1, :, ::-1]).tobytes()
    header = struct.pack("<IiiHHIIiiII", 124, 64, 64, 1, 24, 0, len(rows), 0, 0, 0, 0) + bytes(16) + b"DEBM" + bytes(48)
    header += struct.pack("<IIII", 4, 124 + len(rows), len(_P3_PROFILE), 0)
    data = struct.pack("<2sIHHI", b"BM", 138 + len(rows) + len(_P3_PROFILE), 0, 0, 138) + header + rows + _P3_PROFILE
    found, issues = decoded(data)
    assert np.abs(found - _BY_CHUNK["iCCP"][1]).max() <= 2.0
    assert issues == (PictureIssue.CONVERTED,)


def test_codes_in_an_avif() -> None:
    data = file_of(_LEVELS, "AVIF", quality=100, subsampling="4:4:4")
    place = data.index(b"nclx") + 4
    found, issues = decoded(data[:place] + b"\0\x0c\0\x0d" + data[place + 4 :])
    stored = np.asarray(Pillow.open(io.BytesIO(data))) / 255.0
    assert np.abs(found - expected(stored, DISPLAY_P3, srgb_light)).max() <= 2.0
    assert issues == (PictureIssue.CONVERTED,)
