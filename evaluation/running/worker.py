"""One process of a run: makes clips, judges them and returns what is kept of them."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from engine.api.errors import BundleInvalid
from engine.host.parent import end_with_parent
from evaluation.case import CaseSource, ClipMaker, record_of
from evaluation.errors import EvaluationError
from evaluation.making.engine_maker import EngineMaker
from evaluation.making.server_maker import TOKEN_VARIABLE, ServerMaker
from evaluation.pair_file import PairFileSource
from evaluation.plan.model import Plan
from evaluation.pocket.source import PocketSource
from evaluation.record import ClipRecord
from evaluation.running.kept_clips import keep_clip, read_clip
from evaluation.running.tasks import Task

_THREADS_OF_A_PROCESS = 1  # the last digits of a figure may depend on the number of threads


@dataclass(frozen=True)
class WorkerSettings:
    """Settings of a process. ``clips_folder`` None: the frames are not kept."""

    plan: Plan
    plan_folder: Path
    bundle: Path
    bundle_digest: str
    server: str | None
    clips_folder: Path | None


class Worker:
    """Makes the clips of tasks."""

    def __init__(self, settings: WorkerSettings) -> None:
        self._settings = settings
        self._source = source_of(settings.plan, settings.plan_folder)
        self._maker = _maker_of(settings)

    def do(self, task: Task) -> ClipRecord:
        """Makes, judges and, if asked, keeps the clip of a task. Raises ``EvaluationError``."""
        case = self._source.case_of(task.arm, task.index)
        clip = self._maker.make(case)
        if self._settings.clips_folder is not None:
            keep_clip(clip, self._settings.clips_folder, task.key)
        return record_of(task.arm, task.index, case, clip, self._source.truth_of(task.arm, task.index, clip))

    def judge_again(self, record: ClipRecord, *, with_truth: bool) -> ClipRecord:
        """Measures a kept clip with the bundle as it is now. Raises ``EvaluationError`` for frames that were not kept.

        ``with_truth``: the clip is compared with the drawn one again, too.
        """
        assert self._settings.clips_folder is not None
        assert isinstance(self._maker, EngineMaker)
        arm = self._settings.plan.arm_of(record.arm)
        case = self._source.case_of(arm, record.index)
        clip = self._maker.judge(case, read_clip(self._settings.clips_folder, record.key))
        truth = self._source.truth_of(arm, record.index, clip) if with_truth else record.truth
        return record_of(arm, record.index, case, clip, truth).model_copy(update={"seconds": record.seconds})

    def close(self) -> None:
        """Frees the engine or the connection."""
        self._maker.close()


def source_of(plan: Plan, plan_folder: Path) -> CaseSource:
    """The source of the cases of a plan. Raises ``EvaluationError`` for pairs that cannot be used."""
    return PocketSource(plan) if plan.world == "pocket" else PairFileSource(plan, plan_folder)


def _maker_of(settings: WorkerSettings) -> ClipMaker:
    if settings.server is not None:
        return ServerMaker(settings.server, settings.bundle_digest, os.environ.get(TOKEN_VARIABLE))
    return EngineMaker(settings.bundle, _THREADS_OF_A_PROCESS)


_worker: Worker | None = None  # of this process
_fault = ""  # why there is none


def start(settings: WorkerSettings) -> None:
    """Starts the worker of a process of a pool. What it refuses is raised with its first task."""
    global _worker, _fault  # noqa: PLW0603  a pool calls functions of a module, not methods
    end_with_parent()
    try:
        _worker = Worker(settings)
    except (EvaluationError, BundleInvalid) as error:  # an error here would end the pool without its message
        _fault = str(error)


def do(task: Task) -> ClipRecord:
    """Does a task in a process of a pool. Raises ``EvaluationError``."""
    return _started().do(task)


def judge_again(record: ClipRecord, *, with_truth: bool) -> ClipRecord:
    """Measures a kept clip in a process of a pool. Raises ``EvaluationError``."""
    return _started().judge_again(record, with_truth=with_truth)


def _started() -> Worker:
    if _worker is None:
        raise EvaluationError(_fault)
    return _worker
