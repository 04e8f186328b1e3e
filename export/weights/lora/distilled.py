"""What few-step adapters were trained for. Plain data.

Source: the model cards of Wan2.2-Lightning and Wan2.2-Distill-Loras (lightx2v): four steps without guidance, one
adapter for each expert. With shift 5 the steps are at t = 999, 937, 833 and 624, two for each expert.
"""

from __future__ import annotations

from engine.bundle.manifest import DistilledSpec

LIGHTNING_4_STEPS = DistilledSpec(step_count=4, shift=5.0)
