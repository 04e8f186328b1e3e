"""Fits the log odds of success on figures, and measures the fit on groups that it did not see."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.bundle.scorer_spec import FactorSpec
from engine.matching.success import IDEAL
from export.calibrate.folds import Folds, folds_of
from export.calibrate.logistic import LogisticModel, Signs, fit_signed_logistic
from export.calibrate.outcomes import Outcomes
from export.calibrate.statistics import Labels, Values

PENALTIES = (0.3, 1.0, 3.0, 10.0, 30.0, 100.0)
# Whether these help or harm depends on the model and on what is asked for: motion is wanted or not, and some models
# keep their subject better at a lower guidance scale.
FREE_FIGURES = frozenset(
    {"guidance_below", "dynamic_degree", "motion_speed", "mean_change", "edge_gain", "saturation_gain"}
)
_LEAST_CHANCE = 1e-6
Names = NDArray[np.str_]


@dataclass(frozen=True, eq=False)
class HeldOutFit:
    """A model on all outcomes, and what models that did not see an outcome's group say of it.

    ``fold_models`` were fitted without the fold of their place; ``chances`` and ``base_rates`` are held out, one for
    each outcome: the model's probability, and the share of good clips among those the model was fitted on.
    """

    names: tuple[str, ...]
    model: LogisticModel
    penalty: float
    folds: Folds
    fold_models: tuple[LogisticModel, ...]
    chances: Values
    base_rates: Values

    @property
    def factors(self) -> tuple[FactorSpec, ...]:
        """The manifest's form of the weights that are not zero."""
        pairs = zip(self.names, self.model.weights.tolist(), strict=True)
        return tuple(FactorSpec(name=name, weight=weight) for name, weight in pairs if weight)

    @property
    def dropped(self) -> tuple[str, ...]:
        """Figures with the weight 0: they do not vary, or say nothing that others do not."""
        return tuple(name for name, weight in zip(self.names, self.model.weights.tolist(), strict=True) if not weight)


def signs_of(names: Sequence[str]) -> Signs:
    """1 for figures that are high for a faultless pair and a flawless clip, -1 for those that are 0, 0 for free ones.

    A fault then never raises the chance. Without that, figures that occur together could get weights against each
    other, and a caller who mends a fault would see the chance fall.
    """
    return np.array([0 if name in FREE_FIGURES else 1 if IDEAL[name] > 0 else -1 for name in names], np.int64)


def fit_held_out(outcomes: Outcomes, names: tuple[str, ...]) -> HeldOutFit:
    """Fits figures of outcomes. The penalty of every model is chosen by folds inside the outcomes it is fitted on.

    Raises ``ExportError`` if there is one group only.
    """
    values, labels, groups = outcomes.values(names), outcomes.successes, np.array(outcomes.groups)
    signs, folds = signs_of(names), folds_of(outcomes.groups)
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
    return HeldOutFit(names, model, penalty, folds, tuple(models), chances, base_rates)


def _best_penalty(values: Values, labels: Labels, groups: Names, signs: Signs) -> float:
    """The penalty with the least log loss on held-out groups; the middle one if there are too few groups for folds."""
    if len(set(groups.tolist())) < 2:
        return PENALTIES[len(PENALTIES) // 2]
    folds = folds_of(groups.tolist())
    return min(PENALTIES, key=lambda penalty: _held_out_loss(values, labels, folds, signs, penalty))


def _held_out_loss(values: Values, labels: Labels, folds: Folds, signs: Signs, penalty: float) -> float:
    loss = 0.0
    for fold in range(int(folds.max()) + 1):
        seen, unseen = folds != fold, folds == fold
        model = fit_signed_logistic(values[seen], labels[seen], signs, penalty)
        chances = np.clip(model.chances(values[unseen]), _LEAST_CHANCE, 1.0 - _LEAST_CHANCE)
        loss -= float(np.log(np.where(labels[unseen], chances, 1.0 - chances)).sum())
    return loss
