"""LoRA adapters, fused into the weights of a transformer one tensor at a time.

``layouts`` maps the key names of adapter files to parameters, ``adapter`` reads one file, ``fused`` is a weight source
that adds adapters to another weight source.
"""

from __future__ import annotations

from export.weights.lora.adapter import Adapter
from export.weights.lora.fused import FusedWeights, open_adapters

__all__ = ["Adapter", "FusedWeights", "open_adapters"]
