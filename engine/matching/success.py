"""Probability of success of a pair before its clip, and of a clip after it: fitted, or the prior.

Log odds are offset + Σ weight · figure; the weights stand in the bundle's manifest (``export.calibrate`` fits them).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from engine.analysis.diagnosis.clip_factors import FLAWLESS, clip_factors
from engine.api.diagnosis import ClipMetrics
from engine.api.match_report import SuccessBasis, SuccessEstimate, SuccessFactor
from engine.bundle.scorer_spec import ClipSuccessSpec, FactorSpec, SuccessSpec
from engine.matching.score import logistic
from engine.matching.success_factors import FAULTLESS

_IDEAL: Mapping[str, float] = {**FAULTLESS, **FLAWLESS}


def pair_success(prior: SuccessEstimate, figures: Mapping[str, float], fitted: SuccessSpec | None) -> SuccessEstimate:
    """The estimate for a pair with these figures (``pair_factors``): by the bundle's fit, else the prior."""
    if fitted is None:
        return SuccessEstimate(prior.probability, prior.basis, factors=_factors(figures, ()))
    return SuccessEstimate(
        logistic(fitted.slope * figures["score"] + _sum(fitted.factors, figures), 1.0, fitted.offset),
        SuccessBasis.MEASURED,
        fitted.brier_score,
        fitted.calibration_error,
        _factors(figures, fitted.factors),
    )


def clip_success(
    pair: SuccessEstimate,
    metrics: ClipMetrics,
    frame_scores: Sequence[float],
    first_frame_psnr_db: float,
    fitted: ClipSuccessSpec,
) -> SuccessEstimate:
    """The estimate for a finished clip, from the figures of its pair and its own (``clip_factors``)."""
    figures = {item.name: item.value for item in pair.factors}
    figures |= clip_factors(metrics, frame_scores, first_frame_psnr_db)
    return SuccessEstimate(
        logistic(_sum(fitted.factors, figures), 1.0, fitted.offset),
        SuccessBasis.MEASURED,
        fitted.brier_score,
        fitted.calibration_error,
        _factors(figures, fitted.factors),
    )


def _sum(factors: Sequence[FactorSpec], figures: Mapping[str, float]) -> float:
    return sum(item.weight * figures[item.name] for item in factors)


def _factors(figures: Mapping[str, float], fitted: Sequence[FactorSpec]) -> tuple[SuccessFactor, ...]:
    weights = {item.name: item.weight for item in fitted}
    return tuple(
        SuccessFactor(name, value, weights.get(name, 0.0) * (value - _IDEAL[name])) for name, value in figures.items()
    )
