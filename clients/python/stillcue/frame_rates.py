"""Frame rates that editors write rounded: 23.976 stands for 24000/1001, 29.97 for 30000/1001."""

from __future__ import annotations

import math
import re
from fractions import Fraction

# Rates of film and television whose slower kin, 1000/1001 as fast, is written with two or three decimals.
_NOMINAL_RATES = (24, 30, 48, 60, 120)
_ROUNDED_TO_DECIMALS = range(2, 8)
# A 32-bit float near 120 is up to 4e-6 beside the number that it was made from.
_TOLERANCE = Fraction(5, 10**6)
_LARGEST_DENOMINATOR = 1001
_FRACTION = re.compile(r"\s*([0-9]{1,9})\s*/\s*([0-9]{1,9})\s*")


def exact_frame_rate(frames_per_second: float | Fraction) -> Fraction:
    """Returns the exact rate that a number stands for, in frames per second.

    N·1000/1001 for a number that is this rate rounded to two or more decimals, N one of 24, 30, 48, 60 and 120: 23.976
    and 23.98 both are 24000/1001. Any other number is the nearest fraction with a denominator up to 1001: 24, 25, 23.9
    and 23.97 stay. Raises ``ValueError`` or ``OverflowError`` for a number that is not finite.
    """
    rate = Fraction(frames_per_second)
    return _rounded_rate(rate) or rate.limit_denominator(_LARGEST_DENOMINATOR)


def sent_frame_rate(frames_per_second: float | Fraction) -> float:
    """Returns the rate as a request holds it: the exact one for a rate of editors, any other number unchanged."""
    number = float(frames_per_second)
    exact = _rounded_rate(Fraction(frames_per_second)) if math.isfinite(number) else None
    return number if exact is None else float(exact)


def read_frame_rate(text: str) -> float:
    """Reads ``24``, ``23.976`` or ``24000/1001``. Raises ``ValueError`` with a text that completes "TEXT ..."."""
    try:
        if found := _FRACTION.fullmatch(text):
            return sent_frame_rate(Fraction(int(found[1]), int(found[2])))
        return sent_frame_rate(float(text))
    except (ValueError, ZeroDivisionError):
        raise ValueError("is not a frame rate, for example 24, 23.976 or 24000/1001") from None


def _rounded_rate(rate: Fraction) -> Fraction | None:
    """The rate N·1000/1001 of which ``rate`` is a rounded form; None if there is none."""
    for nominal in _NOMINAL_RATES:
        exact = Fraction(nominal * 1000, 1001)
        if any(abs(rate - round(exact, decimals)) < _TOLERANCE for decimals in _ROUNDED_TO_DECIMALS):
            return exact
    return None
