"""Applies the fits of a bundle to the kept figures of clips: chances, symptoms and remedies change, figures do not."""

from __future__ import annotations

from engine.analysis.diagnosis.measured_evidence import measured_reasons, ranked
from engine.analysis.diagnosis.symptoms import symptom_kinds
from engine.bundle.diagnosis_spec import DiagnosisSpec
from engine.bundle.scorer_spec import ScorerSpec
from engine.matching.success import IDEAL, clip_success, pair_success
from evaluation.errors import EvaluationError
from evaluation.record import ClipRecord


def refitted(record: ClipRecord, spec: ScorerSpec) -> ClipRecord:
    """The record as the fitted bundle would have told it. Raises ``EvaluationError`` for a bundle without fits."""
    if spec.success is None or spec.clip_success is None:
        raise EvaluationError("the bundle has no fits: run `python -m export.calibrate BUNDLE --outcomes FILE` first")
    missing = sorted(set(IDEAL) - {*record.pair_factors, *record.clip_factors})
    if missing:
        raise EvaluationError(f"the clips lack the figure {missing[0]!r}, which is newer; judge them with --frames")
    pair = pair_success(record.pair_factors, spec.success)
    clip = clip_success(pair, record.clip_factors, spec.clip_success)
    kinds = tuple(
        symptom_kinds(
            {**record.clip_factors, "score": record.score / 100.0},
            spec.diagnosis or DiagnosisSpec(),
            asks_for_motion=record.pair_factors["asked_motion"] > 0.0,
            chance=clip.probability,
        )
    )
    log_odds = {item.name: item.log_odds for item in pair.factors}
    remedies = ranked(measured_reasons(record.pair_factors, log_odds, kinds)) if kinds else ()
    return record.model_copy(
        update={
            "chance": round(pair.probability, 6),
            "chance_basis": pair.basis.value,
            "clip_chance": round(clip.probability, 6),
            "symptoms": tuple(kind.value for kind in kinds),
            "remedies": tuple(kind.value for kind in remedies),
        }
    )
