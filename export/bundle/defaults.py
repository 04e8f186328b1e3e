"""Defaults that a checkpoint does not state. Plain data; values of Wan2.2's own configurations.

Source: ``wan/configs/wan_i2v_A14B.py`` and ``wan_ti2v_5B.py`` of the official repository (steps, guidance, frame
rate, the negative prompt of ``shared_config.py``). The shift comes from the checkpoint's scheduler.
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


@dataclass(frozen=True)
class FamilyDefaults:
    """What a bundle serves with where a request says nothing. ``shift`` None: the checkpoint's."""

    step_count: int
    guidance_scale: float
    guidance_scale_low_noise: float | None
    frame_rate: float
    negative_prompt: str = _NEGATIVE_PROMPT
    shift: float | None = None

    def distilled(self, profile: DistilledSpec) -> FamilyDefaults:
        """The same with what a few-step checkpoint was trained for."""
        scale = float(profile.guidance_scale)
        return dataclasses.replace(
            self,
            step_count=profile.step_count,
            shift=profile.shift,
            guidance_scale=scale,
            guidance_scale_low_noise=None if self.guidance_scale_low_noise is None else scale,
        )


FAMILY_DEFAULTS = {
    Family.WAN22_I2V_A14B: FamilyDefaults(
        step_count=40, guidance_scale=3.5, guidance_scale_low_noise=3.5, frame_rate=16.0
    ),
    Family.WAN22_TI2V_5B: FamilyDefaults(
        step_count=50, guidance_scale=5.0, guidance_scale_low_noise=None, frame_rate=24.0
    ),
}
