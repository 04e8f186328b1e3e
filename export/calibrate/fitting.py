"""Fits a scorer's calibration on labelled pairs and measures it on held-out pairs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from engine.api.prompt_report import ClauseKind
from engine.bundle.scorer_spec import CalibrationSpec, ClauseCalibrationSpec, ScorerSpec
from export.calibrate.judging import KINDS, LANGUAGES, Judged, PairScorer, labelled
from export.calibrate.logistic import fit_signed_logistic
from export.calibrate.pairs import MISMATCHES, PairFile
from export.calibrate.placing import fit_grounding, placing_of
from export.calibrate.statistics import (
    area_under_curve,
    brier_score,
    expected_calibration_error,
    reliability,
)
from export.errors import ExportError

Figures = dict[str, Any]
_RISING = np.ones(1, np.int64)  # a higher margin never makes a clause less likely
_FEWEST = 10  # positive and negative labels each, below which nothing is fitted


def calibrate(
    scorer: PairScorer, spec: ScorerSpec, fitting: PairFile, held_out: PairFile
) -> tuple[ScorerSpec, Figures]:
    """Fits grounding and clause probabilities. Returns the fitted spec and its figures on ``held_out``.

    Raises ``ExportError`` if there are too few labels for every kind of clause, or no pair to measure on.
    """
    plain = spec.with_changes(calibration=None)
    grounding = fit_grounding(scorer.judge(fitting, plain), plain.grounding)
    plain = plain.with_changes(grounding=grounding)
    judged = scorer.judge(fitting, plain)
    clauses = tuple(
        fitted for kind in KINDS for language in LANGUAGES if (fitted := _fitted(judged, kind, language)) is not None
    )
    if not clauses or not held_out.pairs:
        raise ExportError(
            f"{len(fitting.pairs)} pairs to fit on and {len(held_out.pairs)} to measure on are too few: a kind of "
            f"clause needs {_FEWEST} right and {_FEWEST} wrong labels in one language; write pairs of more pictures"
        )
    calibration = CalibrationSpec(
        clauses=clauses,
        pairs_sha256=fitting.sha256,
        pair_count=len(fitting.pairs),
        brier_score=0.0,
        expected_calibration_error=0.0,
    )
    result = scorer.judge(held_out, plain.with_changes(calibration=calibration))
    figures = figures_of(result) | {"fitted": [f"{item.kind} {item.language}" for item in clauses]}
    measured = {
        "brier_score": figures["clauses"]["all"]["brier_score"],
        "expected_calibration_error": figures["clauses"]["all"]["expected_calibration_error"],
    }
    return plain.with_changes(calibration=calibration.with_changes(**measured)), figures


def _fitted(judged: Sequence[Judged], kind: ClauseKind, language: str) -> ClauseCalibrationSpec | None:
    margins, _, labels = labelled(judged, kind, language)
    if min(labels.sum(), (~labels).sum()) < _FEWEST:
        return None
    model = fit_signed_logistic(margins[:, None], labels, _RISING, penalty=0.0)
    return ClauseCalibrationSpec.from_dict(
        {
            "kind": kind.value,
            "language": language,
            "slope": max(float(model.weights[0]), 1e-6),
            "offset": model.offset,
            "pair_count": len(labels),
        }
    )


def figures_of(judged: Sequence[Judged]) -> Figures:
    """Figures: area under curve by mismatch and language, calibration by clause kind, grounding, missing nouns."""
    clauses = {"all": _calibration(judged, None, None)}
    for kind in KINDS:
        for language in LANGUAGES:
            clauses[f"{kind.value} {language}"] = _calibration(judged, kind, language)
    placing = placing_of(judged)
    return {
        "pair_count": len(judged),
        "area_under_curve": {
            f"{mismatch} {language}": _discrimination(judged, mismatch, language)
            for mismatch in MISMATCHES
            for language in LANGUAGES
        },
        "median_score": {
            str(mismatch or "match"): _median([x for x in judged if x.pair.mismatch == mismatch])
            for mismatch in (None, *MISMATCHES)
        },
        "clauses": clauses,
        "grounding": None if placing is None else asdict(placing),
        "missing_nouns": _missing(judged),
    }


def _discrimination(judged: Sequence[Judged], mismatch: str, language: str) -> float | None:
    """Share of comparisons in which a match scores higher than this mismatch; None without both."""
    chosen = [item for item in judged if item.language == language and item.pair.mismatch in (None, mismatch)]
    labels = np.array([item.pair.mismatch is None for item in chosen], bool)
    if not len(labels) or labels.all() or not labels.any():
        return None
    return round(area_under_curve(np.array([item.report.score for item in chosen]), labels), 4)


def _median(judged: Sequence[Judged]) -> float | None:
    return round(float(np.median([item.report.score for item in judged])), 1) if judged else None


def _calibration(judged: Sequence[Judged], kind: ClauseKind | None, language: str | None) -> Figures:
    _, chances, labels = labelled(judged, kind, language)
    if not len(labels):
        return {"clause_count": 0}
    return {
        "clause_count": len(labels),
        "brier_score": round(brier_score(chances, labels), 4),
        "expected_calibration_error": round(expected_calibration_error(chances, labels), 4),
        "reliability": [asdict(item) for item in reliability(chances, labels)],
    }


def _missing(judged: Sequence[Judged]) -> Figures:
    """Shares of pictures with a reported missing noun: where the subject is another, and where all matches."""
    shares = {}
    for name, mismatch in (("named_where_the_subject_is_another", "subject"), ("named_where_all_is_there", None)):
        chosen = [bool(item.report.missing_nouns) for item in judged if item.pair.mismatch == mismatch]
        shares[name] = round(float(np.mean(chosen)), 4) if chosen else None
    return shares
