"""Fits the log odds of success on figures, and measures the fit on groups that it did not see."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.bundle.scorer_spec import FactorSpec
from export.calibrate.folds import Folds, folds_of
from export.calibrate.logistic import LogisticModel, fit_signed_logistic
from export.calibrate.outcomes import Outcomes
from export.calibrate.statistics import Labels, Signs, Values
from export.calibrate.terms import design_of, signs_of, terms_of

PENALTIES = (100.0, 30.0, 10.0, 3.0, 1.0, 0.3)
_INNER_FOLD_COUNT = 5
_LEAST_CHANCE = 1e-6
Names = NDArray[np.str_]


@dataclass(frozen=True, eq=False)
class HeldOutFit:
    """A model on all outcomes, and what models that did not see an outcome's group say of it.

    ``fold_models`` were fitted without the fold of their place; ``chances`` and ``base_rates`` are held out, one for
    each outcome: the model's probability, and the share of good clips among those the model was fitted on.
    """

    terms: tuple[FactorSpec, ...]
    model: LogisticModel
    penalty: float
    folds: Folds
    fold_models: tuple[LogisticModel, ...]
    chances: Values
    base_rates: Values

    @property
    def factors(self) -> tuple[FactorSpec, ...]:
        """The manifest's form of the model: its terms without those of the weight 0."""
        return self.factors_of(self.model)

    def factors_of(self, model: LogisticModel) -> tuple[FactorSpec, ...]:
        """The form of any of the models."""
        weighted = zip(self.terms, model.weights.tolist(), strict=True)
        return tuple(term.with_changes(weight=weight) for term, weight in weighted if weight)

    @property
    def dropped(self) -> tuple[str, ...]:
        """Figures without a weight: they do not vary, or say nothing that others do not."""
        used = {item.name for item in self.factors}
        return tuple(dict.fromkeys(item.name for item in self.terms if item.name not in used))


def fit_held_out(outcomes: Outcomes, names: tuple[str, ...]) -> HeldOutFit:
    """Fits figures of outcomes. The penalty of every model is chosen by folds inside the outcomes it is fitted on.

    Raises ``ExportError`` if there is one group only.
    """
    terms = terms_of(outcomes, names)
    values, labels, groups = design_of(outcomes, terms), outcomes.successes, np.array(outcomes.groups)
    signs, folds = signs_of([item.name for item in terms]), folds_of(outcomes.groups)
    chances, base_rates = np.empty(len(labels)), np.empty(len(labels))
    models = []
    for fold in range(int(folds.max()) + 1):
        seen, unseen = folds != fold, folds == fold
        penalty = _best_penalty(values[seen], labels[seen], groups[seen], signs)
        models.append(fit_signed_logistic(values[seen], labels[seen], signs, penalty))
        chances[unseen] = models[-1].chances(values[unseen])
        base_rates[unseen] = labels[seen].mean()
    penalty = _best_penalty(values, labels, groups, signs)
    model = fit_signed_logistic(values, labels, signs, penalty)
    return HeldOutFit(terms, model, penalty, folds, tuple(models), chances, base_rates)


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
