"""Manifest entry of the diagnosis: from which figures of a clip on a symptom is told. Formulas: docs/diagnosis.md."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from engine.bundle.manifest_part import ManifestPart


class DiagnosisSpec(ManifestPart, frozen=True, kw_only=True):
    """Thresholds of the symptoms. The defaults were chosen by judgement; ``export.calibrate`` fits them on outcomes.

    ``cut_above``, ``drift_above``, ``flicker_above`` and ``burnt_above`` are shares; a cut exceeds ``cut_factor`` times
    the mean change. ``match_loss_above`` and ``poor_match_below`` are scores of 0..1. ``still_below`` is the
    dynamic degree below which a clip counts as still. ``low_chance_below``: judged success; None: it tells no
    symptom. ``outcome_count`` is the number of clips of the fit, 0 without one.

    Of chains: a seam with a symptom is above ``seam_jump_above`` or ``colour_shift_above``, which are shares, and above
    its factor times the median inside the segments. ``loop_back_above`` is a difference of likenesses, and
    ``chain_drift_above`` is 1 - likeness; it is not ``drift_above`` because each segment has a box of its own around
    the subject. ``benchmarks.drawn_chains`` counts what the defaults find in faultless and in faulty chains.
    """

    cut_above: float = 0.12
    cut_factor: float = 6.0
    drift_above: float = 0.25
    match_loss_above: float = 0.25
    still_below: float = 0.25
    flicker_above: float = 0.03
    burnt_above: float = 0.05
    first_frame_below_db: float = 20.0
    poor_match_below: float = 0.4
    seam_jump_above: float = 0.035
    seam_jump_factor: float = 4.0
    colour_shift_above: float = 0.02
    colour_shift_factor: float = 2.0
    loop_back_above: float = 0.015
    chain_drift_above: float = 0.25
    low_chance_below: Annotated[float, Meta(ge=0, le=1)] | None = None
    outcome_count: Annotated[int, Meta(ge=0)] = 0
