"""Decides which clips count as good: by the drawn clip, else by people's ratings, else by thresholds on figures.

Thresholds (docs/evaluation.md): a clip is good if it has no cut, keeps subject and background, does not
flicker, and moves if an action is asked for; each threshold is the 5th percentile of the matched clips.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from engine.bundle.scorer_spec import LabelSource
from evaluation.errors import EvaluationError
from evaluation.plan.model import MATCHED
from evaluation.record import ClipRecord

Key = tuple[str, int]
RATINGS_NAME = "ratings.csv"
FEWEST_PILOT_CLIPS = 20
_WORST_SHARE = 0.05
_LIMITED = ("subject_drift", "background_loss", "mean_change", "largest_change")
_DYNAMIC_FROM = 0.25


@dataclass(frozen=True)
class Labels:
    """Success of clips by arm and index, and the source of these labels. Clips that nobody rated are missing."""

    source: LabelSource
    successes: Mapping[Key, bool]


def label(records: Sequence[ClipRecord], folder: Path) -> Labels:
    """The labels of a run's clips. Raises ``EvaluationError``."""
    if all(record.truth is not None for record in records):
        return Labels("truth", {r.key: r.truth.success for r in records if r.truth is not None})
    ratings = folder / RATINGS_NAME
    if ratings.exists():
        return Labels("ratings", _read_ratings(ratings, {record.key for record in records}))
    return Labels("thresholds", _by_thresholds(records))


def _read_ratings(path: Path, known: set[Key]) -> dict[Key, bool]:
    """Reads the columns ``clip``, as arm/index, and ``success``, as 1 or 0."""
    found: dict[Key, bool] = {}
    with path.open(encoding="utf-8-sig", newline="") as stream:
        rows = csv.DictReader(stream)
        if not {"clip", "success"} <= set(rows.fieldnames or ()):
            raise EvaluationError(f"{path}: the first line must be `clip,success`")
        for row in rows:
            arm, _, index = (row["clip"] or "").rpartition("/")
            answer = (row["success"] or "").strip().lower()
            key = (arm, int(index) if index.isdigit() else -1)
            if key not in known:
                raise EvaluationError(f"{path}, line {rows.line_num}: this run has no clip {row['clip']!r}")
            if answer not in {"1", "0", "true", "false", "yes", "no"}:
                raise EvaluationError(f"{path}, line {rows.line_num}: success must be 1 or 0, not {row['success']!r}")
            found[key] = answer in {"1", "true", "yes"}
    if not found:
        raise EvaluationError(f"{path} rates no clip; delete it, and thresholds decide")
    return found


def _by_thresholds(records: Sequence[ClipRecord]) -> dict[Key, bool]:
    pilot = [_faults(record) for record in records if record.arm == MATCHED]
    if len(pilot) < FEWEST_PILOT_CLIPS:
        raise EvaluationError(
            f"{len(pilot)} clips of the arm `matched` are too few to set thresholds: {FEWEST_PILOT_CLIPS} are needed; "
            f"add pairs, or rate clips in {RATINGS_NAME}"
        )
    limits = {name: float(np.quantile([item[name] for item in pilot], 1.0 - _WORST_SHARE)) for name in _LIMITED}
    return {record.key: _is_good(record, limits) for record in records}


def _is_good(record: ClipRecord, limits: Mapping[str, float]) -> bool:
    faults = _faults(record)
    is_dynamic = record.clip_factors["dynamic_degree"] >= _DYNAMIC_FROM
    asks_for_motion = record.pair_factors["asked_motion"] > 0.0
    return all(faults[name] <= limit for name, limit in limits.items()) and (is_dynamic or not asks_for_motion)


def _faults(record: ClipRecord) -> dict[str, float]:
    """Figures that grow with the fault."""
    figures = record.clip_factors
    return {**figures, "background_loss": 1.0 - figures["background_consistency"]}
