"""Writes the outcomes of a run for ``python -m export.calibrate --outcomes``.

An outcome holds the figures of a clip, and whether the clip is good.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from engine.bundle.scorer_spec import LabelSource
from evaluation.labels import label
from evaluation.plan.model import Arm
from evaluation.plan.reading import RunPlan
from evaluation.record import ClipRecord
from export.atomic_file import write_text
from export.calibrate.outcomes import Outcome

OUTCOMES_NAME = "outcomes.jsonl"


def write_outcomes(folder: Path, run_plan: RunPlan, records: Sequence[ClipRecord]) -> Path:
    """Writes one JSON object for each labelled clip, in the order of the plan. Returns the file.

    Clips that are made again are left out: they were chosen because others failed.
    """
    labels = label(records, folder)
    places = {arm.id: place for place, arm in enumerate(run_plan.plan.arm)}
    chosen = [record for record in records if record.arm in places and record.key in labels.successes]
    chosen.sort(key=lambda record: (places[record.arm], record.index))
    arms = run_plan.plan.arm
    lines = [
        outcome_of(record, arms[places[record.arm]], success=labels.successes[record.key], source=labels.source)
        for record in chosen
    ]
    path = folder / OUTCOMES_NAME
    write_text(path, "".join(line.model_dump_json() + "\n" for line in lines))
    return path


def outcome_of(record: ClipRecord, arm: Arm, *, success: bool, source: LabelSource) -> Outcome:
    """The outcome of a clip of an arm. ``source``: what told that it is good."""
    return Outcome.model_validate(
        {
            "score": record.score,
            "success": success,
            "factors": {**record.pair_factors, **record.clip_factors},
            "group": record.pair,
            "arm": record.arm,
            "is_matched": arm.right_remedy is None,
            "label_source": source,
            "right_remedy": arm.right_remedy,
            "remedies": record.remedies,
        }
    )
