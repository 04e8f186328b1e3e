"""Error of one attention in FP8 by the number of its keys, on drawn queries, keys and values.

Pocket has 80 tokens, a served clip tens of thousands: probabilities are then too small for E4M3's normal numbers. The
arithmetic is that of the nodes that ``export.quantise.rewrite_attention`` places: float32 with four factors rounded.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

_KEY_COUNTS = (80, 2_304, 32_760, 75_600)  # pocket; 256x256x33 in pocket's VAE; A14B at 832x480x81; at 1280x720x81
_SPREADS = (0.5, 1.0, 2.0, 4.0)
_HEAD_SIZE, _QUERY_COUNT, _DRAW_COUNT = 128, 64, 4
_LARGEST = 448.0


def attention_errors() -> list[dict[str, Any]]:
    """Returns a row for each number of keys: the relative error of the output by the scores' standard deviation.

    Values are independent normal numbers, so that nothing averages the error out: real values resemble each other and
    lose less.
    """
    return [
        {"key_count": count, "errors": {f"{spread:g}": _error(count, spread) for spread in _SPREADS}}
        for count in _KEY_COUNTS
    ]


def _error(key_count: int, spread: float) -> float:
    """The error over the outputs of all draws together."""
    squares = torch.zeros(2, dtype=torch.float64)
    for seed in range(_DRAW_COUNT):
        generator = torch.Generator().manual_seed(seed)
        query, key, value = (
            torch.randn(count, _HEAD_SIZE, generator=generator) for count in (_QUERY_COUNT, key_count, key_count)
        )
        query, key = (item * spread**0.5 / _HEAD_SIZE**0.25 for item in (query, key))  # scores have this deviation
        exact = torch.softmax(query @ key.T, -1) @ value
        probabilities = torch.softmax(_rounded(query) @ _rounded(key).T, -1)
        actual = _rounded(probabilities, 1.0) @ _rounded(value)
        squares += torch.stack([(actual - exact).double().square().sum(), exact.double().square().sum()])
    return float((squares[0] / squares[1]).sqrt())


def _rounded(values: Tensor, largest: float | None = None) -> Tensor:
    """Values in E4M3 with one scale, by which ``largest`` (default: the largest value) becomes 448."""
    scale = (float(values.abs().max()) if largest is None else largest) / _LARGEST
    return (values / scale).clamp(-_LARGEST, _LARGEST).to(torch.float8_e4m3fn).float() * scale
