"""Fits everything that outcomes tell: the chance before the clip, the judged success after it, and the diagnosis."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from engine.bundle.diagnosis_spec import DiagnosisSpec
from engine.bundle.scorer_spec import ScorerSpec
from export.calibrate.clip_fit import clip_figures, fit_clip_success
from export.calibrate.diagnosis_fit import DiagnosedOutcomes, diagnosis_figures, fit_diagnosis
from export.calibrate.outcomes import Outcomes
from export.calibrate.success_fit import fit_success, success_figures


def fit_outcomes(
    spec: ScorerSpec, outcomes: Outcomes, tell: Callable[[str], None]
) -> tuple[ScorerSpec, dict[str, Any]]:
    """The scorer's spec with the fits, and their figures: ``success``, ``clip_success``, ``diagnosis``, None without.

    Parts that the outcomes say nothing about are taken out of the spec, because they were fitted on other outcomes.
    ``tell`` is called with a line before each step. Raises ``ExportError`` for too few outcomes, failures or groups.
    """
    tell(f"fitting the chance of success before the clip on {len(outcomes.rows)} outcomes")
    success, pair = fit_success(outcomes)
    spec = spec.with_changes(success=success, clip_success=None, diagnosis=DiagnosisSpec())
    figures: dict[str, Any] = {
        "success": success_figures(outcomes, pair, spec),
        "clip_success": None,
        "diagnosis": None,
    }
    tell("fitting the judged success after the clip")
    fitted = fit_clip_success(outcomes)
    if fitted is None:
        return spec, figures
    clip_spec, clip = fitted
    spec = spec.with_changes(clip_success=clip_spec)
    figures["clip_success"] = clip_figures(outcomes, clip_spec, clip)
    tell("fitting the thresholds of the diagnosis")
    given = DiagnosedOutcomes(outcomes, pair, clip)
    diagnosis = fit_diagnosis(given)
    if diagnosis is not None:
        spec = spec.with_changes(diagnosis=diagnosis)
        figures["diagnosis"] = diagnosis_figures(given, diagnosis)
    return spec, figures
