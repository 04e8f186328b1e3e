"""The pool of processes that make or judge clips."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager

from evaluation.errors import EvaluationError
from evaluation.running.worker import WorkerSettings, start


@contextmanager
def worker_pool(settings: WorkerSettings, process_count: int) -> Iterator[ProcessPoolExecutor]:
    """Processes with a ``Worker`` each. Raises ``EvaluationError`` where one is ended from outside.

    After an error or an interruption, waiting tasks are dropped and those that run are waited for.
    """
    pool = ProcessPoolExecutor(process_count, multiprocessing.get_context("spawn"), start, (settings,))
    try:
        yield pool
    except BrokenProcessPool as error:
        raise EvaluationError(
            "a process of the run was ended, perhaps for its memory; run the same command again, with fewer --jobs"
        ) from error
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
