"""Runs a plan: first the clips of all arms, then the failed ones again with their remedies."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass
from pathlib import Path

from evaluation.labels import label
from evaluation.outcomes import write_outcomes
from evaluation.plan.reading import RunPlan
from evaluation.record import ClipRecord
from evaluation.running.clip_file import ClipFile, open_clips
from evaluation.running.estimate import Estimate
from evaluation.running.pool import WorkerPool, worker_pool
from evaluation.running.reuse import MatchedClips
from evaluation.running.tasks import Task, first_tasks, open_tasks, remedy_tasks
from evaluation.running.worker import WorkerSettings, do, source_of

_TASKS_AHEAD = 2  # of each process, so that none waits for the next one
_TOLD_EVERY_SECONDS = 30.0


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
    with open_clips(folder) as clips, worker_pool(settings, process_count) as pool:
        source = source_of(plan, settings.plan_folder)
        first = first_tasks(plan, source)
        work = _Work(pool, clips, Estimate(run_plan, len(first), process_count), process_count, say)
        todo = list(open_tasks(first, clips.kept))
        if todo and not clips.kept:
            clips.append(pool.submit(do, todo.pop(0)).result())
        work.tell(todo)
        if only_estimate:
            return
        work.do(todo)
        again = remedy_tasks(plan, label(clips.kept, folder).successes)
        matched = MatchedClips(plan, source, clips.kept, settings.clips_folder)
        for task in open_tasks(again, clips.kept):
            if (made := matched.find(task)) is not None:
                clips.append(made)
        work.do(list(open_tasks(again, clips.kept)))
        write_outcomes(folder, run_plan, clips.kept)


@dataclass(frozen=True)
class _Work:
    """Does tasks in a pool of processes, keeps each clip as it comes, and tells the progress."""

    pool: WorkerPool
    clips: ClipFile
    estimate: Estimate
    process_count: int
    say: Callable[[str], None]

    def tell(self, todo: Sequence[Task]) -> None:
        self.say(self.estimate.text(self.clips.kept, todo))

    def do(self, todo: Sequence[Task]) -> None:
        """Does the tasks. After an error or an interruption the clips that are being made are dropped."""
        left, told_at = deque(todo), time.monotonic()
        running: dict[Future[ClipRecord], Task] = {}
        try:
            while left or running:
                while left and len(running) < _TASKS_AHEAD * self.process_count:
                    task = left.popleft()
                    running[self.pool.submit(do, task)] = task
                for done in wait(running, return_when=FIRST_COMPLETED).done:
                    del running[done]
                    self.clips.append(done.result())
                if time.monotonic() - told_at >= _TOLD_EVERY_SECONDS or not (left or running):
                    told_at = time.monotonic()
                    self.tell([*running.values(), *left])
        finally:
            for waiting in running:
                waiting.cancel()
