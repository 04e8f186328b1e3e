"""Resolves how much of earlier denoising steps a job reuses."""

from __future__ import annotations

from engine.api.capabilities import Capabilities
from engine.api.reuse import StepReuse

# The first steps and the last one are always computed, so that of fewer steps hardly any is left to reuse.
MIN_REUSE_STEP_COUNT = 10


def resolve_reuse(asked: StepReuse | None, step_count: int, capabilities: Capabilities) -> tuple[StepReuse, str | None]:
    """The reuse that a job runs with, and a warning if it is less than the job asked for.

    None takes the default. Where reuse is not supported, or with fewer than ``MIN_REUSE_STEP_COUNT`` steps, it is OFF.
    """
    wanted = capabilities.defaults.reuse if asked is None else asked
    if wanted is StepReuse.OFF or (capabilities.reuse_supported and step_count >= MIN_REUSE_STEP_COUNT):
        return wanted, None
    if asked is None:
        return StepReuse.OFF, None
    reason = f"it needs at least {MIN_REUSE_STEP_COUNT} steps, this clip has {step_count}"
    if not capabilities.reuse_supported:
        reason = "this model is distilled for few steps, or its bundle was exported before reuse was supported"
    return StepReuse.OFF, f"reuse {wanted.value} has no effect, every step is computed: {reason}"
