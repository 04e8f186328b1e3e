"""Finds clips that a remedy would only make once more: picture, sentence, seed and settings are those of a match."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from evaluation.case import Case, CaseSource
from evaluation.plan.model import MATCHED, Plan
from evaluation.record import ClipRecord
from evaluation.running.kept_clips import clip_path
from evaluation.running.tasks import Task


class MatchedClips:
    """The clips of the arm ``matched`` by their cases. ``clips_folder`` None: frames are not kept."""

    def __init__(
        self, plan: Plan, source: CaseSource, records: Iterable[ClipRecord], clips_folder: Path | None
    ) -> None:
        arms = {arm.id: arm for arm in plan.arm}
        self._source, self._clips_folder = source, clips_folder
        self._by_case: dict[Case, ClipRecord] = {
            source.case_of(arms[MATCHED], record.index): record for record in records if record.arm == MATCHED
        }

    def find(self, task: Task) -> ClipRecord | None:
        """The clip of a task that makes a failed clip again, if it was made already."""
        made = self._by_case.get(self._source.case_of(task.arm, task.index))
        if made is None:
            return None
        if self._clips_folder is not None:
            self._link(made.key, task.key)
        return made.model_copy(update={"arm": task.arm.id, "index": task.index})

    def _link(self, made: tuple[str, int], task: tuple[str, int]) -> None:
        assert self._clips_folder is not None
        path = clip_path(self._clips_folder, task)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        os.link(clip_path(self._clips_folder, made), path)
