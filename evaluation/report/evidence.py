"""Input of a report: the plan, the clips by arm, and the files beside them that a run may lack."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from evaluation.errors import EvaluationError
from evaluation.labels import Labels, label
from evaluation.plan.model import MATCHED, Arm
from evaluation.plan.reading import RunPlan, read_run_plan
from evaluation.record import CLIPS_NAME, ClipRecord, Truth, read_records
from evaluation.side_files import Attempts, Example, read_attempts, read_examples
from evaluation.statistics.share import Share

REMEDY_GROUP = "remedy"
MATCH_ADVICE = "match"
SUCCESS = "success"

# The article's rows that the truth alone can judge; the fourth is success.
_TRUTHS: Mapping[str, Callable[[Truth], bool]] = {
    "subject stable": lambda truth: truth.subject,
    "motion plausible": lambda truth: truth.motion,
    "scene coherent": lambda truth: truth.scene,
}
ROWS = (*_TRUTHS, SUCCESS)


@dataclass(frozen=True)
class Evidence:
    """A plan, its clips in the plan's order, and which of them are good.

    ``examples`` and ``attempts`` are None if they were not measured.
    """

    plan: RunPlan
    clips: Sequence[ClipRecord]
    labels: Labels
    examples: Sequence[Example] | None = None
    attempts: Sequence[Attempts] | None = None

    @classmethod
    def read(cls, folder: Path) -> Evidence:
        """Reads the files of a run. Raises ``EvaluationError`` for a missing or damaged file and for unknown arms."""
        plan, clips = read_run_plan(folder), read_records(folder)
        order = {arm.id: position for position, arm in enumerate(plan.arms)}
        unknown = sorted({clip.arm for clip in clips} - set(order))
        if unknown:
            raise EvaluationError(
                f"{folder / CLIPS_NAME}: the plan beside it has no arm {unknown[0]!r}; both files must be of one run"
            )
        if not clips:
            raise EvaluationError(f"{folder / CLIPS_NAME} has no clips yet; `python -m evaluation run` makes them")
        clips.sort(key=lambda clip: (order[clip.arm], clip.index))
        return cls(plan, clips, label(clips, folder), read_examples(folder), read_attempts(folder))

    @cached_property
    def _clips_by_arm(self) -> Mapping[str, Sequence[ClipRecord]]:
        by_arm: dict[str, list[ClipRecord]] = {arm.id: [] for arm in self.plan.arms}
        for clip in self.clips:
            by_arm[clip.arm].append(clip)
        return by_arm

    def of(self, arm_id: str) -> Sequence[ClipRecord]:
        """The clips of an arm; none for an arm that the plan lacks."""
        return self._clips_by_arm.get(arm_id, ())

    def title_of(self, arm_id: str) -> str:
        """The title of an arm of the plan."""
        return next(arm.title for arm in self.plan.arms if arm.id == arm_id)

    @cached_property
    def arms(self) -> Sequence[Arm]:
        """The arms that have clips and are no remedies, in the plan's order."""
        return [arm for arm in self.plan.arms if arm.group != REMEDY_GROUP and self.of(arm.id)]

    def in_group(self, group: str) -> Sequence[Arm]:
        """The arms of a group that have clips, in the plan's order."""
        return [arm for arm in self.arms if arm.group == group]

    @cached_property
    def matched(self) -> Arm | None:
        """The arm without a fault that others are compared with; None if it has no clips."""
        return next((arm for arm in self.arms if arm.id == MATCHED), None)

    @cached_property
    def mismatched(self) -> Sequence[Arm]:
        """The arms whose sentence contradicts the picture."""
        return [arm for arm in self.arms if arm.advice == MATCH_ADVICE]

    @cached_property
    def judged(self) -> Sequence[ClipRecord]:
        """The labelled clips of the arms that are no remedies, in the plan's order."""
        return [clip for arm in self.arms for clip in self.of(arm.id) if clip.key in self.labels.successes]

    def is_success(self, clip: ClipRecord) -> bool:
        """True if the clip is good; False for one without a label."""
        return self.labels.successes.get(clip.key, False)

    def is_failure(self, clip: ClipRecord) -> bool:
        """True if the clip is not good; False for one without a label."""
        return not self.labels.successes.get(clip.key, True)

    def share(self, clips: Iterable[ClipRecord], row: str = SUCCESS) -> Share:
        """The share of clips for which a row of the article's table holds, among those for which that is known."""
        if row == SUCCESS:
            labels = self.labels.successes
            return Share.of(labels[clip.key] for clip in clips if clip.key in labels)
        return Share.of(_TRUTHS[row](clip.truth) for clip in clips if clip.truth is not None)

    def success(self, arm_id: str) -> Share:
        """The share of good clips of an arm."""
        return self.share(self.of(arm_id))
