"""Runs a plan: first the clips of all arms, then the failed ones again with their remedies."""

from __future__ import annotations

import multiprocessing
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

from evaluation.errors import EvaluationError
from evaluation.labels import label
from evaluation.outcomes import write_outcomes
from evaluation.plan.reading import RunPlan
from evaluation.record import ClipRecord
from evaluation.running.clip_file import ClipFile, open_clips
from evaluation.running.estimate import Estimate
from evaluation.running.tasks import Task, first_tasks, open_tasks, remedy_tasks
from evaluation.running.worker import WorkerSettings, do, source_of, start

_TASKS_AHEAD = 2  # of each process, so that none waits for the next one


def run(
    run_plan: RunPlan,
    settings: WorkerSettings,
    folder: Path,
    process_count: int,
    *,
    say: Callable[[str], None],
    only_estimate: bool = False,
) -> None:
    """Makes the clips that ``folder`` lacks, and writes the outcomes once all are there.

    ``say`` receives progress as lines. Raises ``EvaluationError``, or ``KeyboardInterrupt`` with every finished clip
    kept.
    """
    plan = run_plan.plan
    with open_clips(folder) as clips, _pool(settings, process_count) as pool:
        first = first_tasks(plan, source_of(plan, settings.plan_folder))
        estimate = Estimate(plan, first, process_count)
        todo = list(open_tasks(first, clips.kept))
        if todo and not clips.kept:
            _keep(clips, pool.submit(do, todo.pop(0)).result())
        say(estimate.text(clips.kept, todo))
        if only_estimate:
            return
        _work(pool, todo, clips, estimate, process_count, say)
        again = remedy_tasks(plan, label(clips.kept, folder).successes)
        _work(pool, list(open_tasks(again, clips.kept)), clips, estimate, process_count, say)
        write_outcomes(folder, run_plan, clips.kept)


def _pool(settings: WorkerSettings, process_count: int) -> ProcessPoolExecutor:
    context = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(process_count, context, start, (settings,))


def _keep(clips: ClipFile, record: ClipRecord) -> None:
    clips.append(record)


def _work(
    pool: ProcessPoolExecutor,
    todo: Sequence[Task],
    clips: ClipFile,
    estimate: Estimate,
    process_count: int,
    say: Callable[[str], None],
) -> None:
    """Does the tasks, and keeps each clip as it comes."""
    left, told_at = deque(todo), time.monotonic()
    running: dict[Future[ClipRecord], Task] = {}
    try:
        while left or running:
            while left and len(running) < _TASKS_AHEAD * process_count:
                task = left.popleft()
                running[pool.submit(do, task)] = task
            for done in wait(running, return_when=FIRST_COMPLETED).done:
                del running[done]
                _keep(clips, done.result())
            if time.monotonic() - told_at >= 30.0 or not (left or running):
                told_at = time.monotonic()
                say(estimate.text(clips.kept, [*running.values(), *left]))
    except BrokenProcessPool as error:
        raise EvaluationError(
            "a process of the run was ended, perhaps for its memory; run the same command again, with fewer --jobs"
        ) from error
    finally:
        for waiting in running:
            waiting.cancel()
