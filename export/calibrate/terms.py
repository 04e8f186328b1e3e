"""Terms of a fit: figures, and what of a fault exceeds a knot."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from engine.bundle.scorer_spec import FactorSpec
from engine.matching.success import IDEAL
from engine.matching.success_factors import FAULTLESS
from export.calibrate.outcomes import Outcomes
from export.calibrate.statistics import Signs, Values

# Whether these help or harm depends on the model and on what is asked for: motion is wanted or not, and some models
# keep their subject better at a lower guidance scale.
FREE_FIGURES = frozenset(
    {"asked_motion", "guidance_below", "dynamic_degree", "motion_speed", "mean_change", "edge_gain", "saturation_gain"}
)
_KNOTS = (1.0 / 3.0, 2.0 / 3.0)  # quantiles of the values above 0


def terms_of(outcomes: Outcomes, names: Sequence[str]) -> tuple[FactorSpec, ...]:
    """A term of weight 1 for each figure, and for each fault of the pair two more for what exceeds a knot.

    With them a large fault may lower the chance more than in proportion: twice the usual guidance scale does little
    harm to many models, five times does much. Knots are quantiles of the fault's values, found without the labels.
    """
    terms = [FactorSpec(name=name, weight=1.0) for name in names]
    for name in names:
        if name in FAULTLESS and not IDEAL[name] and name not in FREE_FIGURES:
            values = outcomes.values((name,))[:, 0]
            faults = values[values > 0.0]
            knots = {float(knot) for knot in np.quantile(faults, _KNOTS)} if len(faults) else set()
            terms += [FactorSpec(name=name, weight=1.0, above=knot) for knot in sorted(knots)]
    return tuple(terms)


def design_of(outcomes: Outcomes, terms: Sequence[FactorSpec]) -> Values:
    """Values of the terms, [outcomes, terms]."""
    columns = outcomes.values(tuple(item.name for item in terms))
    above = np.array([-np.inf if item.above is None else item.above for item in terms])
    has_knot = np.isfinite(above)
    return np.where(has_knot, np.maximum(columns - np.where(has_knot, above, 0.0), 0.0), columns)


def signs_of(names: Sequence[str]) -> Signs:
    """1 for figures that are high for a faultless pair and a flawless clip, -1 for those that are 0, 0 for free ones.

    A fault then never raises the chance. Without that, figures that occur together could get weights against each
    other, and a caller who mends a fault would see the chance fall.
    """
    return np.array([0 if name in FREE_FIGURES else 1 if IDEAL[name] > 0 else -1 for name in names], np.int64)
