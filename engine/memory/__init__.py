"""What is in memory when: ``plan_residency`` makes the plan, ``Residence`` keeps to it.

``demand`` says what a job needs, ``measure`` reads that from a manifest, ``placement`` chooses what stays, and
``remedies`` names what would fit where nothing does. All of that is pure; only ``residence`` touches a runtime.
"""

from __future__ import annotations

from engine.memory.plan import CARD_BYTES, RESERVED_BYTES, ResidencyPlan, default_budget_bytes, plan_residency

__all__ = ["CARD_BYTES", "RESERVED_BYTES", "ResidencyPlan", "default_budget_bytes", "plan_residency"]
