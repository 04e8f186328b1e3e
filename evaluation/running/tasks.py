"""The clips of a plan that are still to be made, in the order in which they are made."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from evaluation.case import CaseSource
from evaluation.plan.model import Arm, Plan
from evaluation.record import ClipRecord

Key = tuple[str, int]


@dataclass(frozen=True)
class Task:
    """One clip to make."""

    arm: Arm
    index: int

    @property
    def key(self) -> Key:
        """Arm and index."""
        return self.arm.id, self.index


def first_tasks(plan: Plan, source: CaseSource) -> list[Task]:
    """The clips of all arms but those that make clips again: the first of every arm, then the second of every arm, ...

    In this order a run that is not complete says something about every arm.
    """
    counts = {arm.id: source.count_of(arm) for arm in plan.arm}
    return [Task(arm, index) for index in range(max(counts.values())) for arm in plan.arm if index < counts[arm.id]]


def remedy_tasks(plan: Plan, successes: Mapping[Key, bool]) -> list[Task]:
    """The clips to make again: the first failed ones of each arm, with each of its remedies, in the order of the plan.

    Of an arm with several seeds the first clip of each pair counts.
    """
    seeds = {arm.id: arm.seeds for arm in plan.arm}
    failed: dict[str, list[int]] = defaultdict(list)
    for (arm_id, index), success in sorted(successes.items()):
        if not success and index % seeds.get(arm_id, 1) == 0:
            failed[arm_id].append(index)
    return [
        Task(arm, index)
        for arm in plan.remedy_arms()
        if arm.redo_of is not None
        for index in failed[arm.redo_of][: arm.count]
    ]


def open_tasks(tasks: Iterable[Task], made: Iterable[ClipRecord]) -> Iterator[Task]:
    """The tasks of which no clip is kept yet."""
    keys = {record.key for record in made}
    return (task for task in tasks if task.key not in keys)
