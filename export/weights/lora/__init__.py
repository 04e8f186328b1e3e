"""LoRA adapters, fused into the weights of a transformer one tensor at a time.

``adapter_file`` reads one file, ``forms`` says what the ends of keys mean and which forms are fused, ``layouts`` maps
the names of modules to parameters, ``selection`` finds the keys that count, ``products`` computes what they add,
``changed_module`` holds the keys of one module, ``adapter`` is one file opened for one transformer, ``fused`` a weight
source that adds adapters to another weight source. ``placement`` tells an adapter of one expert from one of the other.
"""

from __future__ import annotations

from export.weights.lora.adapter import Adapter
from export.weights.lora.fused import FusedWeights, open_adapters
from export.weights.lora.placement import placement_notes

__all__ = ["Adapter", "FusedWeights", "open_adapters", "placement_notes"]
