"""The fits of success on this evidence: held-out chances before and after the clip."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from engine.analysis.diagnosis.clip_factors import FLAWLESS
from engine.matching.success_factors import FAULTLESS
from evaluation.report.evidence import Evidence
from evaluation.report.held_out import held_out_chances
from export.calibrate.outcomes import FEWEST_FAILURES, FEWEST_OUTCOMES


@dataclass(frozen=True)
class Fits:
    """Chances of the judged clips, in their order: from figures of the pair, and from those of the clip as well."""

    pair: Sequence[float]
    clip: Sequence[float]


def fit(evidence: Evidence) -> Fits | None:
    """Fits success; None with fewer clips, failures or successes than a fit needs."""
    clips = evidence.judged
    labels = [evidence.is_success(clip) for clip in clips]
    if len(labels) < FEWEST_OUTCOMES or min(labels.count(True), labels.count(False)) < FEWEST_FAILURES:
        return None
    before, after = tuple(FAULTLESS), (*FAULTLESS, *FLAWLESS)
    return Fits(
        held_out_chances(clips, labels, before).tolist(),
        held_out_chances(clips, labels, after).tolist(),
    )
