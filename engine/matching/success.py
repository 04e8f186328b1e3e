"""Probability of success of a pair before its clip, and of a clip after it: fitted, or the prior.

Log odds are offset + Σ weight · figure (``FactorSpec``); the weights stand in the bundle's manifest, where
``export.calibrate`` writes them.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from engine.analysis.diagnosis.clip_factors import FLAWLESS
from engine.api.errors import BundleInvalid
from engine.api.match_report import SuccessBasis, SuccessEstimate, SuccessFactor
from engine.bundle.scorer_spec import ClipSuccessSpec, FactorSpec, ScorerSpec, SuccessSpec
from engine.matching.score import logistic
from engine.matching.success_factors import FAULTLESS

IDEAL: Mapping[str, float] = {**FAULTLESS, **FLAWLESS}
"""Figures of a pair without a fault and of its flawless clip."""


def pair_success(prior: SuccessEstimate, figures: Mapping[str, float], fitted: SuccessSpec | None) -> SuccessEstimate:
    """The estimate for a pair with these figures (``pair_factors``): by the bundle's fit, else the prior."""
    if fitted is None:
        return SuccessEstimate(prior.probability, prior.basis, factors=_factors(figures, ()))
    factors = (*fitted.factors, FactorSpec(name="score", weight=fitted.slope)) if fitted.slope else fitted.factors
    return _measured(figures, factors, fitted)


def clip_success(pair: SuccessEstimate, clip_figures: Mapping[str, float], fitted: ClipSuccessSpec) -> SuccessEstimate:
    """The estimate for a finished clip, from the figures of its pair and its own (``clip_factors``)."""
    figures = {item.name: item.value for item in pair.factors} | dict(clip_figures)
    return _measured(figures, fitted.factors, fitted)


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


def _measured(
    figures: Mapping[str, float], factors: Sequence[FactorSpec], fitted: SuccessSpec | ClipSuccessSpec
) -> SuccessEstimate:
    odds = fitted.offset + sum(item.part(figures[item.name]) for item in factors)
    return SuccessEstimate(
        logistic(odds, 1.0, 0.0),
        SuccessBasis.MEASURED,
        fitted.brier_score,
        fitted.calibration_error,
        _factors(figures, factors),
    )


def _factors(figures: Mapping[str, float], factors: Sequence[FactorSpec]) -> tuple[SuccessFactor, ...]:
    log_odds = log_odds_of(figures, factors)
    return tuple(SuccessFactor(name, value, log_odds[name]) for name, value in figures.items())


def log_odds_of(figures: Mapping[str, float], factors: Sequence[FactorSpec]) -> dict[str, float]:
    """What each figure adds to the log odds, counted from its value in ``IDEAL``."""
    log_odds = dict.fromkeys(figures, 0.0)
    for item in factors:
        log_odds[item.name] += item.part(figures[item.name]) - item.part(IDEAL[item.name])
    return log_odds
