"""Judges the clips of a run again, after the bundle's fits or its scorer changed. Makes no clip."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from engine.bundle.folder import read_manifest
from evaluation.errors import EvaluationError
from evaluation.outcomes import write_outcomes
from evaluation.plan.reading import RunPlan, replace_run_plan
from evaluation.record import CLIPS_NAME, ClipRecord
from evaluation.running.clip_file import open_clips
from evaluation.running.pool import worker_pool
from evaluation.running.refitting import refitted
from evaluation.running.worker import WorkerSettings, judge_again
from export.atomic_file import write_text

_TOLD_EVERY = 250


def refit_run(run_plan: RunPlan, bundle: Path, folder: Path) -> None:
    """Applies the bundle's fits to the figures of every clip. Raises ``EvaluationError``."""
    scorer = read_manifest(bundle)[0].scorer
    if scorer is None:
        raise EvaluationError(f"{bundle} has no scorer; export it again with one")
    with open_clips(folder) as clips:
        _replace(folder, run_plan, [refitted(record, scorer) for record in clips.kept])


def judge_run(
    run_plan: RunPlan,
    settings: WorkerSettings,
    folder: Path,
    process_count: int,
    *,
    with_truth: bool,
    say: Callable[[str], None],
) -> None:
    """Measures every clip again from its kept frames. Raises ``EvaluationError``."""
    with open_clips(folder) as clips, worker_pool(settings, process_count) as pool:
        tasks = [pool.submit(judge_again, record, with_truth=with_truth) for record in clips.kept]
        judged: list[ClipRecord] = []
        for task in tasks:
            judged.append(task.result())
            if len(judged) % _TOLD_EVERY == 0:
                say(f"{len(judged)} of {len(clips.kept)} clips judged again")
        _replace(folder, run_plan, judged)


def _replace(folder: Path, run_plan: RunPlan, records: list[ClipRecord]) -> None:
    """Replaces all clips at once."""
    write_text(folder / CLIPS_NAME, "".join(record.model_dump_json() + "\n" for record in records))
    replace_run_plan(folder, run_plan)
    write_outcomes(folder, run_plan, records)
