"""The fits of success and of the diagnosis on this evidence, as ``export.calibrate`` makes them, held out by pair."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from evaluation.outcomes import outcome_of
from evaluation.report.evidence import Evidence
from export.calibrate.clip_fit import fit_clip_success
from export.calibrate.diagnosis_fit import DiagnosedOutcomes, diagnosis_figures, fit_diagnosis
from export.calibrate.outcomes import outcomes_of
from export.calibrate.success_fit import fit_success
from export.errors import ExportError


@dataclass(frozen=True)
class Fits:
    """Held-out chances of the judged clips, in their order, and held-out figures of the refitted diagnosis.

    ``pair`` is known before the clip, ``clip`` after it; ``base_rates`` are the shares of good clips among other pairs.
    ``folds``: clips of one fold were left out of the same fit. ``diagnosis`` holds the figures of
    ``export.calibrate.diagnosis_fit``, None if it cannot be fitted.
    """

    pair: Sequence[float]
    clip: Sequence[float]
    base_rates: Sequence[float]
    folds: Sequence[int]
    diagnosis: Mapping[str, Any] | None


def fit(evidence: Evidence) -> Fits | None:
    """Fits success and diagnosis; None with fewer clips, failures or pairs than the fits need."""
    if not evidence.judged:
        return None
    arms, source = {arm.id: arm for arm in evidence.arms}, evidence.labels.source
    outcomes = outcomes_of(
        [outcome_of(clip, arms[clip.arm], success=evidence.is_success(clip), source=source) for clip in evidence.judged]
    )
    try:
        _, pair = fit_success(outcomes)
        fitted = fit_clip_success(outcomes)
    except ExportError:  # too few outcomes, failures or pairs
        return None
    if fitted is None:
        return None
    _, clip = fitted
    given = DiagnosedOutcomes(outcomes, pair, clip)
    spec = fit_diagnosis(given)
    diagnosis = None if spec is None else diagnosis_figures(given, spec)
    return Fits(pair.chances.tolist(), clip.chances.tolist(), pair.base_rates.tolist(), pair.folds.tolist(), diagnosis)
