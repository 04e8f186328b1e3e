"""Decides which symptoms a clip has, from figures of its pair and its own, against thresholds of the bundle."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from engine.analysis.diagnosis.clip_factors import CLEAN_PSNR_DB
from engine.api.diagnosis import SymptomKind
from engine.bundle.diagnosis_spec import DiagnosisSpec

CLIP_SYMPTOMS = tuple(
    kind for kind in SymptomKind if kind not in {SymptomKind.SEAM_JUMP, SymptomKind.COLOUR_SHIFT, SymptomKind.LOOP_BACK}
)
"""Symptoms of a clip, or of a segment alone; the others are of chains."""

SYMPTOM_FIGURES = frozenset(
    {
        "largest_change",
        "mean_change",
        "subject_drift",
        "first_score",
        "last_score",
        "dynamic_degree",
        "burnt_gain",
        "first_frame_noise",
    }
)
"""Figures of a clip that the symptoms depend on."""


def symptom_kinds(
    figures: Mapping[str, float], spec: DiagnosisSpec, *, asks_for_motion: bool, chance: float | None
) -> Iterator[SymptomKind]:
    """The symptoms, most serious first. ``chance``: the clip's judged success, None without a fit.

    ``figures``: ``SYMPTOM_FIGURES``, and the pair's ``score`` if the pair was scored.
    """
    is_still = figures["dynamic_degree"] < spec.still_below
    if figures["largest_change"] > max(spec.cut_above, spec.cut_factor * figures["mean_change"]):
        yield SymptomKind.SCENE_CUT
    if figures["subject_drift"] > spec.drift_above:
        yield SymptomKind.SUBJECT_DRIFT
    if figures["first_score"] - figures["last_score"] > spec.match_loss_above:
        yield SymptomKind.MATCH_LOSS
    if asks_for_motion and is_still:
        yield SymptomKind.FROZEN
    if figures["mean_change"] > spec.flicker_above and is_still:
        yield SymptomKind.FLICKER
    if figures["burnt_gain"] > spec.burnt_above:
        yield SymptomKind.BURNT_COLOURS
    if figures["first_frame_noise"] > (CLEAN_PSNR_DB - spec.first_frame_below_db) / 10.0:
        yield SymptomKind.FIRST_FRAME
    if figures.get("score", 1.0) < spec.poor_match_below:
        yield SymptomKind.POOR_MATCH
    if chance is not None and spec.low_chance_below is not None and chance < spec.low_chance_below:
        yield SymptomKind.LOW_CHANCE
