"""Reuse of earlier denoising steps: what a job allows, and what a step did."""

from __future__ import annotations

import enum


class StepReuse(enum.Enum):
    """How much of earlier denoising steps a job reuses instead of computing it: nothing, some of it, or much.

    ``BALANCED`` and ``FAST`` save time and change the clip; docs/reuse.md states by how much.
    """

    OFF = "off"
    BALANCED = "balanced"
    FAST = "fast"


class StepWork(enum.Enum):
    """What the transformer computed in a denoising step.

    FULL: every prediction. GUIDANCE_REUSED: the prediction with the prompt; its difference to the one with the negative
    prompt is that of an earlier step. REUSED: nothing; the prediction follows from an earlier step's.
    """

    FULL = "full"
    GUIDANCE_REUSED = "guidance_reused"
    REUSED = "reused"
