"""Records of clips for tests: every figure is that of a faultless clip but for what a test changes."""

from __future__ import annotations

from engine.analysis.diagnosis.clip_factors import FLAWLESS
from engine.matching.success_factors import FAULTLESS
from evaluation.record import ClipRecord, ClipSettings, Truth

SETTINGS = ClipSettings(width_px=64, height_px=64, frame_count=17, frame_rate=4.0, step_count=20, guidance_scale=1.5)


def truth(*, success: bool = True) -> Truth:
    """A truth in which all is right, or the subject is lost."""
    return Truth(
        subject=success,
        motion=True,
        light=True,
        scene=True,
        found="cat/white",
        scene_psnr_db=37.0,
        first_frame_psnr_db=33.0,
        actions_done=1,
        actions_asked=1,
    )


def record(arm: str = "matched", index: int = 0, told: Truth | None = None, **figures: float) -> ClipRecord:
    """A clip of an arm; ``figures`` replace those of a faultless pair and clip."""
    return ClipRecord(
        arm=arm,
        index=index,
        pair=f"pair {index}",
        language="en",
        seed=index,
        prompt="A white cat jumps.",
        settings=SETTINGS,
        score=99.0,
        verdict="good",
        chance=0.9,
        chance_basis="article_prior",
        pair_factors={name: figures.get(name, value) for name, value in FAULTLESS.items()},
        clip_factors={name: figures.get(name, value) for name, value in FLAWLESS.items()},
        clip_chance=None,
        symptoms=(),
        remedies=(),
        truth=told,
        seconds=1.0,
    )
