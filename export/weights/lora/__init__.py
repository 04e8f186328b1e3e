"""Adapters, fused into weights while these stream by. Reads weight sources and adapter files; loads no model.

``layouts`` knows how adapter files name things, ``adapter`` reads one file, ``fused`` is a weight source that adds it
to another, ``distilled`` holds what few-step adapters were trained for.
"""

from __future__ import annotations

from export.weights.lora.adapter import Adapter, parse_adapter_option
from export.weights.lora.distilled import LIGHTNING_4_STEPS
from export.weights.lora.fused import FusedWeights

__all__ = ["LIGHTNING_4_STEPS", "Adapter", "FusedWeights", "parse_adapter_option"]
