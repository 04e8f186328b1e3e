"""Colour spaces that are given by chromaticities and a transfer function, without an ICC profile.

PNG gives them as ``gAMA`` and ``cHRM``, PNG, AVIF and HEIC as numbers of ITU-T H.273.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Point = tuple[float, float]  # CIE 1931 x and y

REFERENCE_WHITE_NITS = 203.0  # diffuse white of HDR pictures, ITU-R BT.2408
_D65 = (0.3127, 0.3290)
_SRGB_GAMMA = 1 / 2.2
_GAMMA_TOLERANCE = 0.05  # libpng's: a picture whose gamma is this near to sRGB's is not corrected
_POINT_TOLERANCE = 0.002  # writers of PNG round


class Curve(enum.Enum):
    """Transfer functions other than a power."""

    SRGB = "sRGB"
    PQ = "PQ"
    HLG = "HLG"


@dataclass(frozen=True, slots=True)
class Chromaticities:
    """Primaries and white point of an RGB space."""

    red: Point
    green: Point
    blue: Point
    white: Point


SRGB_POINTS = Chromaticities((0.64, 0.33), (0.30, 0.60), (0.15, 0.06), _D65)
_BT2020 = Chromaticities((0.708, 0.292), (0.170, 0.797), (0.131, 0.046), _D65)
_P3 = ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060))
_SMPTE_170M = Chromaticities((0.630, 0.340), (0.310, 0.595), (0.155, 0.070), _D65)
# ITU-T H.273, table 2.
_POINTS_BY_CODE = {
    1: SRGB_POINTS,
    5: Chromaticities((0.64, 0.33), (0.29, 0.60), (0.15, 0.06), _D65),
    6: _SMPTE_170M,
    7: _SMPTE_170M,
    9: _BT2020,
    11: Chromaticities(*_P3, (0.314, 0.351)),
    12: Chromaticities(*_P3, _D65),
}
# ITU-T H.273, table 3. Viewers show pictures with the camera curves of BT.601, BT.709 and BT.2020 (1, 6, 14, 15) as if
# they had sRGB's curve, because that is what most programs that write these numbers mean.
_CURVES_BY_CODE: dict[int, Curve | float] = {
    **dict.fromkeys((1, 2, 6, 13, 14, 15), Curve.SRGB),
    4: 2.2,
    5: 2.8,
    8: 1.0,
    16: Curve.PQ,
    18: Curve.HLG,
}


@dataclass(frozen=True, slots=True)
class ColourSpace:
    """An RGB or grey space. ``curve`` is a number for light = level ** curve."""

    points: Chromaticities
    curve: Curve | float

    @property
    def has_srgb_points(self) -> bool:
        """True if primaries and white are those of sRGB."""
        return self.points == SRGB_POINTS

    @property
    def is_srgb(self) -> bool:
        """True if no level changes on the way to sRGB."""
        return self.has_srgb_points and self.curve is Curve.SRGB

    @property
    def is_hdr(self) -> bool:
        """True if the space holds light brighter than white."""
        return self.curve in {Curve.PQ, Curve.HLG}

    def light(self, level_count: int) -> Floats:
        """Linear light of ``level_count`` levels from black to white, clipped to 0..1 (white of SDR)."""
        levels = np.linspace(0.0, 1.0, level_count)
        if self.curve is Curve.SRGB:
            return np.where(levels <= 0.04045, levels / 12.92, ((levels + 0.055) / 1.055) ** 2.4)
        if self.curve is Curve.PQ:
            return np.minimum(_pq_light(levels), 1.0)
        if self.curve is Curve.HLG:
            return np.minimum(_hlg_light(levels), 1.0)
        return levels**self.curve

    def srgb_levels(self, level_count: int) -> NDArray[np.uint8]:
        """For each of ``level_count`` levels the 8-bit level of sRGB's curve with the same light."""
        light = self.light(level_count)
        levels = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
        return np.round(255.0 * levels).astype(np.uint8)


def space_of_codes(primaries: int, transfer: int) -> ColourSpace | None:
    """The space with these numbers of H.273; None for numbers without a space here. Unspecified (2) counts as sRGB."""
    points = SRGB_POINTS if primaries == 2 else _POINTS_BY_CODE.get(primaries)
    curve = _CURVES_BY_CODE.get(transfer)
    return ColourSpace(points, curve) if points is not None and curve is not None else None


def space_of_gamma(gamma: float, points: Chromaticities | None) -> ColourSpace | None:
    """The space of a PNG's ``gAMA``, a power of encoding such as 0.45455, and ``cHRM``; None if no space has them.

    Without ``cHRM`` the primaries are those of sRGB.
    """
    if not 0.05 <= gamma <= 5.0:
        return None
    points = SRGB_POINTS if points is None or _are_near(points, SRGB_POINTS) else points
    return ColourSpace(points, Curve.SRGB if abs(gamma / _SRGB_GAMMA - 1) < _GAMMA_TOLERANCE else 1 / gamma)


def _are_near(first: Chromaticities, second: Chromaticities) -> bool:
    pairs = zip(_coordinates(first), _coordinates(second), strict=True)
    return all(abs(one - other) <= _POINT_TOLERANCE for one, other in pairs)


def _coordinates(points: Chromaticities) -> tuple[float, ...]:
    return (*points.red, *points.green, *points.blue, *points.white)


def _pq_light(levels: Floats) -> Floats:
    """Light of PQ levels, 1 = ``REFERENCE_WHITE_NITS`` (SMPTE ST 2084)."""
    m1, m2 = 2610 / 16384, 2523 / 4096 * 128
    c1, c2, c3 = 3424 / 4096, 2413 / 4096 * 32, 2392 / 4096 * 32
    power = levels ** (1 / m2)
    nits = 10_000.0 * (np.maximum(power - c1, 0.0) / (c2 - c3 * power)) ** (1 / m1)
    return nits / REFERENCE_WHITE_NITS


def _hlg_light(levels: Floats) -> Floats:
    """Light of HLG levels on a display of 1,000 nits, 1 = ``REFERENCE_WHITE_NITS`` (ITU-R BT.2100).

    The system gamma of 1.2 is applied to each channel, not to the luminance.
    """
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    scene = np.where(levels <= 0.5, levels**2 / 3.0, (np.exp((levels - c) / a) + b) / 12.0)
    return 1000.0 * scene**1.2 / REFERENCE_WHITE_NITS
