"""Request defaults of a bundle that the checkpoint does not state, from Wan2.2's own configurations.

Source: ``wan/configs/wan_i2v_A14B.py`` and ``wan_ti2v_5B.py`` of the official repository (steps, guidance, frame rate,
the negative prompt of ``shared_config.py``). The shift comes from the checkpoint's scheduler. The profile of few-step
adapters is from the model cards of Wan2.2-Lightning and Wan2.2-Distill-Loras (lightx2v): four steps without guidance,
one adapter for each expert. With shift 5 the steps are at t = 999, 937, 833 and 624, two for each expert.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from engine.api.capabilities import Family
from engine.bundle.manifest import DistilledSpec

_NEGATIVE_PROMPT = (
    "色调艳丽，过曝，静态，细节模糊不清，字幕，风格，作品，画作，画面，静止，整体发灰，最差质量，低质量，JPEG压缩残留，"
    "丑陋的，残缺的，多余的手指，画得不好的手部，画得不好的脸部，畸形的，毁容的，形态畸形的肢体，手指融合，静止不动的画面，"
    "杂乱的背景，三条腿，背景人很多，倒着走"
)
LIGHTNING_4_STEPS = DistilledSpec(step_count=4, shift=5.0)


@dataclass(frozen=True)
class ServingDefaults:
    """Values for the fields that a request leaves out. ``shift`` None: the checkpoint's."""

    step_count: int
    guidance_scale: float
    guidance_scale_low_noise: float | None
    frame_rate: float
    negative_prompt: str = _NEGATIVE_PROMPT
    shift: float | None = None

    def described(self, shift: float) -> str:
        """The values for the plan that a dry run prints; ``shift`` is the checkpoint's."""
        low = "" if self.guidance_scale_low_noise is None else f" and {self.guidance_scale_low_noise:g} (low noise)"
        return (
            f"defaults of requests: {self.step_count} steps, guidance {self.guidance_scale:g}{low}, shift "
            f"{self.shift or shift:g}, {self.frame_rate:g} frames per second"
        )

    def distilled(self, profile: DistilledSpec) -> ServingDefaults:
        """These defaults with steps, shift and guidance of a few-step profile."""
        scale = float(profile.guidance_scale)
        return dataclasses.replace(
            self,
            step_count=profile.step_count,
            shift=profile.shift,
            guidance_scale=scale,
            guidance_scale_low_noise=None if self.guidance_scale_low_noise is None else scale,
        )


FAMILY_DEFAULTS = {
    Family.WAN22_I2V_A14B: ServingDefaults(
        step_count=40, guidance_scale=3.5, guidance_scale_low_noise=3.5, frame_rate=16.0
    ),
    Family.WAN22_TI2V_5B: ServingDefaults(
        step_count=50, guidance_scale=5.0, guidance_scale_low_noise=None, frame_rate=24.0
    ),
}
