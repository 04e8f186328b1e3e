"""Fits the chance of success before a clip, on figures of the pair and its settings."""

from __future__ import annotations

from typing import Any

import numpy as np

from engine.bundle.scorer_spec import ScorerSpec, SuccessSpec
from engine.matching.success import prior_chance
from engine.matching.success_factors import FAULTLESS
from export.calibrate.held_out import HeldOutFit, fit_held_out
from export.calibrate.outcomes import Outcomes, check_amount
from export.calibrate.probability_figures import probability_figures
from export.calibrate.statistics import Values
from export.calibrate.verdicts import arm_verdicts


def fit_success(outcomes: Outcomes) -> tuple[SuccessSpec, HeldOutFit]:
    """The manifest's fit, and the fit with its held-out probabilities.

    Raises ``ExportError`` for too few outcomes, failures or groups.
    """
    check_amount(outcomes)
    fit = fit_held_out(outcomes, tuple(name for name in outcomes.names if name in FAULTLESS))
    measured = probability_figures(fit.chances, outcomes.successes)
    spec = SuccessSpec(
        offset=fit.odds.offset,
        factors=fit.odds.factors,
        curve=fit.odds.curve,
        outcome_count=len(outcomes.rows),
        brier_score=measured["brier_score"],
        calibration_error=measured["calibration_error"],
        label_source=outcomes.label_source,
    )
    return spec, fit


def success_figures(outcomes: Outcomes, fit: HeldOutFit, spec: ScorerSpec) -> dict[str, Any]:
    """Figures of the fit on held-out groups, beside those of the published prior and of the base rate."""
    labels = outcomes.successes
    is_good = np.array([row.score >= spec.verdicts.good_score for row in outcomes.rows], bool)
    arms = [row.arm for row in outcomes.rows]
    return {
        "outcome_count": len(labels),
        "failure_count": int((~labels).sum()),
        "group_count": len(set(outcomes.groups)),
        "label_source": outcomes.label_source,
        "penalty": fit.penalty,
        **fit.odds.as_dict(),
        "dropped": list(fit.dropped),
        "fitted": probability_figures(fit.chances, labels),
        "prior": probability_figures(prior_chances(outcomes), labels),
        "base_rate": probability_figures(fit.base_rates, labels),
        "verdicts": [item.as_dict() for item in arm_verdicts(arms, is_good, fit.chances, labels)],
    }


def prior_chances(outcomes: Outcomes) -> Values:
    """The published prior of each outcome."""
    return np.array([prior_chance(row.figures) for row in outcomes.rows], np.float64)
