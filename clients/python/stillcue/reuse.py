"""Reuse of earlier denoising steps: what a job allows, and what a step did. Imports no protobuf, no gRPC."""

from __future__ import annotations

import enum


class StepReuse(enum.StrEnum):
    """How much of earlier denoising steps a job reuses instead of computing it: nothing, some of it, or much.

    Reuse saves time and changes the clip.
    """

    UNKNOWN = "unknown"
    OFF = "off"
    BALANCED = "balanced"
    FAST = "fast"


class StepWork(enum.StrEnum):
    """What was computed in a denoising step.

    ``FULL``: every prediction; ``GUIDANCE_REUSED``: the prediction with the prompt, while the effect of guidance is
    that of an earlier step; ``REUSED``: nothing, the prediction follows from an earlier step's.
    """

    UNKNOWN = "unknown"
    FULL = "full"
    GUIDANCE_REUSED = "guidance_reused"
    REUSED = "reused"
