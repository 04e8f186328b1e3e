"""A whole transformer's bytes from those of a few blocks: each further block adds the same bytes of weights.

Scratch does not follow a line. It is that of the deepest transformer that was compiled, plus what the line through two
depths adds where it rises: the compiler computes keys and values of the text ahead for all blocks of some transformers.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

GROWING = ("weight_bytes", "plan_bytes", "activation_bytes")


def block_bytes(engines: Mapping[int, Mapping[str, Any]]) -> dict[str, float]:
    """Bytes that one block adds, from the engines of two depths."""
    low, high = min(engines), max(engines)
    return {key: max(0.0, (engines[high][key] - engines[low][key]) / (high - low)) for key in GROWING}


def deepened(engine: Mapping[str, Any], block_count: int, added: Mapping[str, float]) -> dict[str, Any]:
    """The engine's entry with ``block_count`` more blocks."""
    return {**engine, **{key: round(engine[key] + block_count * added[key]) for key in GROWING}}
