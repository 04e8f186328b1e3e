"""The pool of processes that make or judge clips."""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from typing import ParamSpec, TypeVar

from evaluation.errors import EvaluationError
from evaluation.running.worker import WorkerSettings, start

_Parameters = ParamSpec("_Parameters")
_Result = TypeVar("_Result")


class WorkerPool:
    """Processes with a ``Worker`` each, started as tasks are submitted."""

    def __init__(self, executor: ProcessPoolExecutor) -> None:
        self._executor = executor

    def submit(
        self, call: Callable[_Parameters, _Result], *arguments: _Parameters.args, **named: _Parameters.kwargs
    ) -> Future[_Result]:
        """Hands a task to the next idle process. An interruption meanwhile is raised once the task is submitted."""
        with interrupts_held():
            return self._executor.submit(call, *arguments, **named)


@contextmanager
def worker_pool(settings: WorkerSettings, process_count: int) -> Iterator[WorkerPool]:
    """Opens a pool. Raises ``EvaluationError`` where a process is ended from outside.

    After an error or an interruption, waiting tasks are dropped and those that run are waited for.
    """
    executor = ProcessPoolExecutor(process_count, multiprocessing.get_context("spawn"), start, (settings,))
    try:
        yield WorkerPool(executor)
    except BrokenProcessPool as error:
        raise EvaluationError(
            "a process of the run was ended, perhaps for its memory; run the same command again, with fewer --jobs"
        ) from error
    finally:
        executor.shutdown(wait=True, cancel_futures=True)


@contextmanager
def interrupts_held() -> Iterator[None]:
    """Holds SIGINT back until the end of the block. Only for the main thread.

    An executor that is interrupted while it starts a process forgets that process and never ends it. A process that is
    started in the block never receives SIGINT: it inherits the signal mask.
    """
    held: list[int] = []
    handler = signal.signal(signal.SIGINT, lambda number, _frame: held.append(number))
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        signal.signal(signal.SIGINT, handler)
    if held:
        signal.raise_signal(signal.SIGINT)
