"""Fits the judged success of a finished clip, and the probability from which on a clip is accepted."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from engine.analysis.diagnosis.clip_factors import FLAWLESS
from engine.bundle.scorer_spec import ClipSuccessSpec
from export.calibrate.held_out import HeldOutFit, fit_held_out
from export.calibrate.outcomes import Outcomes, check_amount
from export.calibrate.probability_figures import probability_figures, share, within_arms
from export.calibrate.statistics import Labels, Values, area_under_curve
from export.calibrate.terms import signs_of

FALSE_REJECT_SHARE = 0.05


def fit_clip_success(outcomes: Outcomes) -> tuple[ClipSuccessSpec, HeldOutFit] | None:
    """The manifest's fit, and the fit with its held-out probabilities; None if the outcomes hold no figure of a clip.

    Raises ``ExportError`` for too few outcomes, failures or groups.
    """
    check_amount(outcomes)
    if not any(name in FLAWLESS for name in outcomes.names):
        return None
    fit = fit_held_out(outcomes, outcomes.names)
    measured = probability_figures(fit.chances, outcomes.successes)
    spec = ClipSuccessSpec(
        offset=fit.odds.offset,
        factors=fit.odds.factors,
        curve=fit.odds.curve,
        accept_from=accept_from(fit.chances, outcomes.successes),
        outcome_count=len(outcomes.rows),
        area_under_curve=measured["area_under_curve"],
        brier_score=measured["brier_score"],
        calibration_error=measured["calibration_error"],
        label_source=outcomes.label_source,
    )
    return spec, fit


def accept_from(chances: Values, labels: Labels) -> float:
    """The highest probability, to four places, that rejects at most 5 % of the good clips.

    A rejected good clip costs the work of another one and gains nothing, so that their share is what is limited; how
    many failed clips are then accepted depends on the figures and is reported.
    """
    good = np.sort(chances[labels])
    return math.floor(good[int(FALSE_REJECT_SHARE * len(good))] * 1e4) / 1e4


def clip_figures(outcomes: Outcomes, spec: ClipSuccessSpec, fit: HeldOutFit) -> dict[str, Any]:
    """Figures of the fit on held-out groups, and how well each figure alone tells good clips from failed ones."""
    labels, arms = outcomes.successes, [row.arm for row in outcomes.rows]
    accepted = _accepted_held_out(fit, labels)
    return {
        "outcome_count": len(labels),
        "penalty": fit.penalty,
        **fit.odds.as_dict(),
        "dropped": list(fit.dropped),
        "fitted": probability_figures(fit.chances, labels),
        "area_under_curve_within_arms": within_arms(fit.chances, labels, arms, fit.folds),
        "accept_from": spec.accept_from,
        "false_rejects": share(~accepted[labels]),
        "false_accepts": share(accepted[~labels]),
        "single_figures": _single_figures(outcomes, arms),
    }


def _accepted_held_out(fit: HeldOutFit, labels: Labels) -> Labels:
    """Acceptance of each clip by a threshold that was chosen without the groups of its fold."""
    accepted = np.zeros(len(labels), bool)
    for fold in range(len(fit.fold_odds)):
        seen = fit.folds != fold
        accepted[~seen] = fit.chances[~seen] >= accept_from(fit.chances[seen], labels[seen])
    return accepted


def _single_figures(outcomes: Outcomes, arms: list[str]) -> dict[str, dict[str, float | None]]:
    """Areas under curve of each figure alone, over all arms and within them.

    A figure counts in the direction in which it is better; one of which that is not known, in the direction of its
    larger area over all arms.
    """
    labels, values = outcomes.successes, outcomes.values(outcomes.names)
    areas: dict[str, dict[str, float | None]] = {}
    for name, column, sign in zip(outcomes.names, values.T, signs_of(outcomes.names).tolist(), strict=True):
        ascending = area_under_curve(column, labels)
        upwards = column if sign > 0 or (sign == 0 and ascending >= 0.5) else -column
        areas[name] = {
            "area_under_curve": area_under_curve(upwards, labels),
            "within_arms": within_arms(upwards, labels, arms),
        }
    return areas
