"""Probability of success of a pair before its clip, and of a clip after it: fitted, or the prior.

Formula: ``OddsSpec``; the numbers stand in the bundle's manifest, where ``export.calibrate`` writes them.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Mapping, Sequence

from engine.analysis.diagnosis.clip_factors import FLAWLESS
from engine.api.errors import BundleInvalid
from engine.api.match_report import SuccessBasis, SuccessEstimate, SuccessFactor
from engine.bundle.scorer_spec import ClipSuccessSpec, FactorSpec, OddsSpec, ScorerSpec, SuccessSpec
from engine.matching.score import logistic
from engine.matching.success_factors import FAULTLESS

IDEAL: Mapping[str, float] = {**FAULTLESS, **FLAWLESS}
"""Figures of a pair without a fault and of its flawless clip."""


# Log odds of the prior: the line through the published P(80) = 0.95 and P(20) = 0.65, less an assumed loss for each
# kind of finding on the wording.
_PRIOR_OFFSET, _PRIOR_SLOPE = -0.156, 3.876
_PRIOR_LOSSES = {"wording_errors": 1.5, "wording_warnings": 0.5}


def prior_chance(figures: Mapping[str, float]) -> float:
    """The probability of success of a pair, 0..1, by two published figures; a wording that is not known counts as good.

    Formula: docs/scoring.md.
    """
    loss = sum(weight * figures.get(name, 0.0) for name, weight in _PRIOR_LOSSES.items())
    return logistic(figures["score"], _PRIOR_SLOPE, _PRIOR_OFFSET - loss)


def pair_success(figures: Mapping[str, float], fitted: SuccessSpec | None) -> SuccessEstimate:
    """The estimate for a pair with these figures (``pair_factors``): by the bundle's fit, else the prior."""
    if fitted is None:
        factors = tuple(SuccessFactor(name, value) for name, value in figures.items())
        return SuccessEstimate(prior_chance(figures), SuccessBasis.ARTICLE_PRIOR, factors=factors)
    if fitted.slope:  # of an earlier version
        fitted = fitted.with_changes(factors=(*fitted.factors, FactorSpec(name="score", weight=fitted.slope)))
    return _measured(figures, fitted)


def clip_success(pair: SuccessEstimate, clip_figures: Mapping[str, float], fitted: ClipSuccessSpec) -> SuccessEstimate:
    """The estimate for a finished clip, from the figures of its pair and its own (``clip_factors``)."""
    figures = {item.name: item.value for item in pair.factors} | dict(clip_figures)
    return _measured(figures, fitted)


def check_factors(spec: ScorerSpec) -> None:
    """Raises ``BundleInvalid`` if a fit names a figure that this version does not know."""
    if spec.success is not None:
        _check("success", spec.success.factors, FAULTLESS)
    if spec.clip_success is not None:
        _check("clip_success", spec.clip_success.factors, IDEAL)


def _check(field: str, factors: Sequence[FactorSpec], known: Collection[str]) -> None:
    for item in factors:
        if item.name not in known:
            raise BundleInvalid(
                f"the manifest's scorer.{field} depends on a figure {item.name!r} that this server does not know; "
                "update the server, or fit the bundle again with `python -m export.calibrate BUNDLE --outcomes FILE`"
            )


def _measured(figures: Mapping[str, float], fitted: SuccessSpec | ClipSuccessSpec) -> SuccessEstimate:
    parts = log_odds_of(figures, fitted)
    return SuccessEstimate(
        logistic(curved(_sum(figures, fitted), fitted.curve), 1.0, 0.0),
        SuccessBasis.MEASURED,
        fitted.brier_score,
        fitted.calibration_error,
        tuple(SuccessFactor(name, value, parts[name]) for name, value in figures.items()),
    )


def log_odds_of(figures: Mapping[str, float], spec: OddsSpec) -> dict[str, float]:
    """Share of each figure in the log odds: those of all figures less those with this one as in ``IDEAL``."""
    parts = dict.fromkeys(figures, 0.0)
    for item in spec.factors:
        parts[item.name] += item.part(figures[item.name]) - item.part(IDEAL[item.name])
    total = _sum(figures, spec)
    whole = curved(total, spec.curve)
    return {name: whole - curved(total - part, spec.curve) if part else 0.0 for name, part in parts.items()}


def curved(odds: float, curve: Sequence[tuple[float, float]]) -> float:
    """Log odds after a curve (``OddsSpec``)."""
    if not curve:
        return odds
    place = bisect_right(curve, odds, key=lambda point: point[0])
    if place in {0, len(curve)}:
        return curve[0 if place == 0 else -1][1]
    (before, start), (after, end) = curve[place - 1], curve[place]
    return start + (end - start) * (odds - before) / (after - before)


def _sum(figures: Mapping[str, float], spec: OddsSpec) -> float:
    return spec.offset + sum(item.part(figures[item.name]) for item in spec.factors)
