"""Judges the kept clips of a run again, after the bundle's scorer or its fits changed. Makes no clip."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from evaluation.outcomes import write_outcomes
from evaluation.plan.reading import RunPlan, replace_run_plan
from evaluation.record import CLIPS_NAME, ClipRecord
from evaluation.running.clip_file import open_clips
from evaluation.running.pool import worker_pool
from evaluation.running.worker import WorkerSettings, judge_again
from export.atomic_file import write_text

_TOLD_EVERY = 250


def judge_run(
    run_plan: RunPlan, settings: WorkerSettings, folder: Path, process_count: int, *, say: Callable[[str], None]
) -> None:
    """Replaces the figures of every clip at once, or none. Raises ``EvaluationError``."""
    with open_clips(folder) as clips, worker_pool(settings, process_count) as pool:
        judged: list[ClipRecord] = []
        try:
            for record in pool.map(judge_again, clips.kept):
                judged.append(record)
                if len(judged) % _TOLD_EVERY == 0:
                    say(f"{len(judged)} of {len(clips.kept)} clips judged again")
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
    write_text(folder / CLIPS_NAME, "".join(record.model_dump_json() + "\n" for record in judged))
    replace_run_plan(folder, run_plan)
    write_outcomes(folder, run_plan, judged)
