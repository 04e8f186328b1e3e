"""Fits the thresholds of the diagnosis on outcomes: symptoms are rare in good clips of matching pairs."""

from __future__ import annotations

import numpy as np

from engine.analysis.diagnosis.clip_factors import CLEAN_PSNR_DB
from engine.bundle.diagnosis_spec import DiagnosisSpec
from export.calibrate.statistics import Labels, Values, wilson_interval

# Of good clips of matching pairs: with any symptom, and with one. Thresholds that were chosen on some clips raise
# more false alarms on others: 3 % here become 4 to 5 %.
FALSE_ALARM_SHARE = 0.03
_ONE_SYMPTOM_SHARE = 0.005
_LEAST_PRECISION = 0.5  # share of failed clips among those with the symptom


def fit_symptom_thresholds(figures: dict[str, Values], successes: Labels, matched: Labels) -> DiagnosisSpec:
    """Thresholds of the symptoms of single figures. ``figures``: by name, one value for each clip.

    A threshold is the lowest one at which at most 0.5 % of the good clips of matching pairs have the symptom, and at
    least half of all clips that have it failed. A symptom that says nothing about failure at any threshold keeps the
    default one, or gets one that no good clip of a matching pair exceeds, if that is higher.
    """
    default = DiagnosisSpec()
    never = np.full(len(successes), -np.inf)
    cut = figures["largest_change"]
    cut = np.where(cut > default.cut_factor * figures["mean_change"], cut, never)

    def fitted(values: Values, at: float) -> float:
        return _threshold(values, successes, matched, at)

    asks = figures["asked_motion"] > 0.0 if "asked_motion" in figures else np.ones(len(successes), bool)
    still_below = -fitted(np.where(asks, -figures["dynamic_degree"], never), -default.still_below)
    flicker = np.where(figures["dynamic_degree"] < still_below, figures["mean_change"], never)
    noise = fitted(figures["first_frame_noise"], (CLEAN_PSNR_DB - default.first_frame_below_db) / 10.0)
    score = figures.get("score", np.ones(len(successes)))
    return DiagnosisSpec(
        cut_above=fitted(cut, default.cut_above),
        drift_above=fitted(figures["subject_drift"], default.drift_above),
        match_loss_above=fitted(figures["first_score"] - figures["last_score"], default.match_loss_above),
        still_below=still_below,
        flicker_above=fitted(flicker, default.flicker_above),
        burnt_above=fitted(figures["burnt_gain"], default.burnt_above),
        first_frame_below_db=CLEAN_PSNR_DB - 10.0 * noise,
        poor_match_below=-fitted(-score, -default.poor_match_below),
        outcome_count=len(successes),
    )


def fit_low_chance(chances: Values, has_symptom: Labels, successes: Labels, matched: Labels) -> float | None:
    """The highest judged success below which the symptom keeps all false alarms together at 3 %; None if none does.

    ``chances`` are held out; ``has_symptom``: clips that have another symptom already.
    """
    good = successes & matched
    allowed = int(FALSE_ALARM_SHARE * good.sum()) - int((has_symptom & good).sum())
    if allowed < 0 or not good.any():
        return None
    without = np.sort(chances[good & ~has_symptom])
    return float(without[min(allowed, len(without) - 1)])


def _threshold(values: Values, successes: Labels, matched: Labels, default: float) -> float:
    """The threshold of one symptom, which clips with a larger value have."""
    good = successes & matched
    order = np.argsort(-values, kind="stable")
    ordered = values[order]
    alarms = np.arange(1, len(values) + 1)
    failed, false = np.cumsum(~successes[order]), np.cumsum(good[order])
    is_last = np.append(ordered[1:] < ordered[:-1], False)  # the threshold lies between two different values
    allowed = _ONE_SYMPTOM_SHARE * good.sum()
    possible = is_last & (failed >= _LEAST_PRECISION * alarms) & (false <= allowed) & np.isfinite(ordered)
    sure = (
        place
        for place in np.flatnonzero(possible)[::-1].tolist()
        if wilson_interval(int(failed[place]), place + 1)[0] >= _LEAST_PRECISION
    )
    place = next(sure, None)
    if place is not None:
        below = ordered[place + 1]
        return float((ordered[place] + below) / 2.0 if np.isfinite(below) else ordered[place] - 1e-9)
    return max(default, float(values[good].max())) if good.any() else default
