"""Fits the probability that a clip succeeds, from the scores of judged clips."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from engine.bundle.scorer_spec import SuccessSpec
from export.calibrate.statistics import (
    Values,
    brier_score,
    expected_calibration_error,
    fit_logistic,
    sigmoid,
)
from export.errors import ExportError

FEWEST_OUTCOMES, FEWEST_FAILURES = 200, 40
_FOLDS = 5


class Outcome(BaseModel):
    """One line: the match score before the clip, 0..100, and whether the clip was good."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    score: float = Field(ge=0, le=100)
    success: bool


def read_outcomes(path: Path) -> list[Outcome]:
    """Reads JSON lines. Raises ``ExportError``."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
        return [Outcome.model_validate(json.loads(line)) for line in lines if line.strip()]
    except OSError as error:
        raise ExportError(f"cannot read {path}: {error.strerror}") from error
    except (ValueError, ValidationError) as error:
        raise ExportError(f"{path}: every line must hold score (0 to 100) and success (true or false)") from error


def fit_success(outcomes: Sequence[Outcome]) -> SuccessSpec:
    """Fits on all outcomes; measures by cross-validation over five folds.

    Raises ``ExportError`` for fewer outcomes or failures than a reliable fit needs.
    """
    labels = np.array([item.success for item in outcomes], bool)
    failures, successes = int((~labels).sum()), int(labels.sum())
    if len(labels) < FEWEST_OUTCOMES or min(failures, successes) < FEWEST_FAILURES:
        raise ExportError(
            f"{len(labels)} outcomes with {failures} failures: {FEWEST_OUTCOMES} with {FEWEST_FAILURES} failures and "
            "as many successes are needed; until then the published figures are used"
        )
    scores: Values = np.array([item.score for item in outcomes], np.float64) / 100.0
    folds = np.random.default_rng(0).permutation(len(labels)) % _FOLDS
    chances = np.zeros(len(labels))
    for fold in range(_FOLDS):
        slope, offset = fit_logistic(scores[folds != fold], labels[folds != fold])
        chances[folds == fold] = sigmoid(slope * scores[folds == fold] + offset)
    slope, offset = fit_logistic(scores, labels)
    return SuccessSpec(
        slope=slope,
        offset=offset,
        outcome_count=len(labels),
        brier_score=brier_score(chances, labels),
        calibration_error=expected_calibration_error(chances, labels),
    )
