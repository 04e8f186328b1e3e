"""The expert that the name of a file says: high noise or low noise."""

from __future__ import annotations

import re

_HIGH = re.compile(r"(?<![a-z])high(?![a-z])|highnoise|high_noise|(?<![a-z0-9])h(?![a-z0-9])", re.IGNORECASE)
_LOW = re.compile(r"(?<![a-z])low(?![a-z])|lownoise|low_noise|(?<![a-z0-9])l(?![a-z0-9])", re.IGNORECASE)


def expert_of_file(name: str) -> str | None:
    """``transformer`` for high noise, ``transformer_2`` for low noise; None if the name says neither, or both."""
    is_high, is_low = bool(_HIGH.search(name)), bool(_LOW.search(name))
    if is_high == is_low:
        return None
    return "transformer" if is_high else "transformer_2"
