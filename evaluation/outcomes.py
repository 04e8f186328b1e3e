"""Writes the outcomes of a run for ``python -m export.calibrate --outcomes``.

An outcome holds the figures of a clip, and whether the clip is good.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from engine.api.prompt_report import Severity
from engine.matching.score import LOGIT_LOSS, logistic
from evaluation.labels import label
from evaluation.plan.model import Arm
from evaluation.plan.reading import RunPlan
from evaluation.record import ClipRecord
from export.atomic_file import write_text

OUTCOMES_NAME = "outcomes.jsonl"


def write_outcomes(folder: Path, run_plan: RunPlan, records: Sequence[ClipRecord]) -> Path:
    """Writes one JSON object for each clip that is labelled and made once, in the order of the plan. Returns the file.

    Clips that are made again are left out: they were chosen because others failed.
    """
    labels = label(records, folder)
    arms = {arm.id: (place, arm) for place, arm in enumerate(run_plan.arms)}
    chosen = [record for record in records if record.redo_of is None and record.key in labels.successes]
    chosen.sort(key=lambda record: (arms[record.arm][0], record.index))
    lines = [
        _outcome(record, arms[record.arm][1], success=labels.successes[record.key], source=labels.source)
        for record in chosen
    ]
    path = folder / OUTCOMES_NAME
    write_text(path, "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines))
    return path


def _outcome(record: ClipRecord, arm: Arm, *, success: bool, source: str) -> dict[str, Any]:
    return {
        "group": record.pair,
        "arm": record.arm,
        "is_matched": arm.right_remedy is None,
        "success": success,
        "label_source": source,
        "factors": {**record.pair_factors, **record.clip_factors},
        "score": record.score,
        "verdict": record.verdict,
        "prior_chance": round(prior_chance(record), 6),
        "right_remedy": arm.right_remedy,
        "symptoms": list(record.symptoms),
        "remedies": list(record.remedies),
    }


def prior_chance(record: ClipRecord) -> float:
    """The chance of success that a bundle without a fit gives the pair: the published prior less the findings."""
    figures = record.pair_factors
    loss = (
        LOGIT_LOSS[Severity.ERROR] * figures["wording_errors"]
        + LOGIT_LOSS[Severity.WARNING] * figures["wording_warnings"]
    )
    return logistic(figures["score"], 3.876, -0.156 - loss)
