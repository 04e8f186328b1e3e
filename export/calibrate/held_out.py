"""Fits the log odds of success on figures, and measures the fit on groups that it did not see."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.bundle.scorer_spec import FactorSpec, OddsSpec
from export.calibrate.curve import Curve, along, fit_curve
from export.calibrate.folds import Folds, folds_of
from export.calibrate.logistic import LogisticModel, fit_signed_logistic
from export.calibrate.outcomes import Outcomes
from export.calibrate.statistics import Labels, Signs, Values, sigmoid
from export.calibrate.terms import design_of, signs_of, terms_of

PENALTIES = (100.0, 30.0, 10.0, 3.0, 1.0, 0.3)
_INNER_FOLD_COUNT = 5
_LEAST_CHANCE = 1e-6
Names = NDArray[np.str_]


@dataclass(frozen=True, eq=False)
class HeldOutFit:
    """A fit on all outcomes, and what fits that did not see an outcome's group say of it.

    ``fold_odds`` were fitted without the fold of their place; ``chances`` and ``base_rates`` are held out, one for each
    outcome: the fit's probability, and the share of good clips among those the fit saw.
    """

    terms: tuple[FactorSpec, ...]
    odds: OddsSpec
    penalty: float
    folds: Folds
    fold_odds: tuple[OddsSpec, ...]
    chances: Values
    base_rates: Values

    @property
    def dropped(self) -> tuple[str, ...]:
        """Figures without a weight: they do not vary, or say nothing that others do not."""
        used = {item.name for item in self.odds.factors}
        return tuple(dict.fromkeys(item.name for item in self.terms if item.name not in used))


def fit_held_out(outcomes: Outcomes, names: tuple[str, ...]) -> HeldOutFit:
    """Fits figures of outcomes. The penalty of every model is chosen by folds inside the outcomes it is fitted on.

    The curve of all outcomes, and that of each fold, is fitted on log odds of models that did not see their outcomes,
    and without the fold. Raises ``ExportError`` if there is one group only.
    """
    terms = terms_of(outcomes, names)
    values, labels, groups = design_of(outcomes, terms), outcomes.successes, np.array(outcomes.groups)
    signs, folds = signs_of([item.name for item in terms]), folds_of(outcomes.groups)
    log_odds, base_rates = np.empty(len(labels)), np.empty(len(labels))
    models = []
    for fold in range(int(folds.max()) + 1):
        seen, unseen = folds != fold, folds == fold
        penalty = _best_penalty(values[seen], labels[seen], groups[seen], signs)
        models.append(fit_signed_logistic(values[seen], labels[seen], signs, penalty))
        log_odds[unseen] = models[-1].log_odds(values[unseen])
        base_rates[unseen] = labels[seen].mean()
    curves = [fit_curve(log_odds[folds != fold], labels[folds != fold]) for fold in range(len(models))]
    chances = np.empty(len(labels))
    for fold, curve in enumerate(curves):
        chances[folds == fold] = sigmoid(along(log_odds[folds == fold], curve))
    penalty = _best_penalty(values, labels, groups, signs)
    model = fit_signed_logistic(values, labels, signs, penalty)
    return HeldOutFit(
        terms,
        _spec(terms, model, fit_curve(log_odds, labels)),
        penalty,
        folds,
        tuple(_spec(terms, item, curve) for item, curve in zip(models, curves, strict=True)),
        chances,
        base_rates,
    )


def _spec(terms: Sequence[FactorSpec], model: LogisticModel, curve: Curve) -> OddsSpec:
    """The manifest's form of a model: its terms without those of the weight 0."""
    weighted = zip(terms, model.weights.tolist(), strict=True)
    factors = tuple(term.with_changes(weight=weight) for term, weight in weighted if weight)
    return OddsSpec(offset=model.offset, factors=factors, curve=curve)


def _best_penalty(values: Values, labels: Labels, groups: Names, signs: Signs) -> float:
    """The penalty with the least log loss on held-out groups; the middle one if there are too few groups for folds."""
    if len(set(groups.tolist())) < 2:
        return PENALTIES[len(PENALTIES) // 2]
    folds = folds_of(groups.tolist(), _INNER_FOLD_COUNT)
    losses = np.zeros(len(PENALTIES))
    for fold in range(int(folds.max()) + 1):
        seen, unseen = folds != fold, folds == fold
        model: LogisticModel | None = None
        for place, penalty in enumerate(PENALTIES):
            model = fit_signed_logistic(values[seen], labels[seen], signs, penalty, model)
            losses[place] += _log_loss(model.chances(values[unseen]), labels[unseen])
    return PENALTIES[int(losses.argmin())]


def _log_loss(chances: Values, labels: Labels) -> float:
    inside = np.clip(chances, _LEAST_CHANCE, 1.0 - _LEAST_CHANCE)
    return -float(np.log(np.where(labels, inside, 1.0 - inside)).sum())
