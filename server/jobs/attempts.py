"""The attempts of one job: whether a clip is accepted, whether it is made again, and which clip is delivered."""

from __future__ import annotations

import enum
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from engine.api.events import JobDone
    from engine.api.job import PreparedJob
    from engine.api.match_report import SuccessEstimate
    from server.jobs.attempt_plan import AttemptPlan


class AttemptsEnd(enum.Enum):
    """Reason for which no further attempt is made."""

    ACCEPTED = "accepted"
    MAXIMUM_COUNT = "maximum_count"
    DEADLINE = "deadline"
    QUOTA = "quota"
    DRAINING = "draining"


@dataclass(frozen=True, slots=True)
class AttemptResult:
    """An attempt that ended with a clip. ``work_seconds`` is the time that the engine reports.

    ``is_complete`` False: its chain was stopped before the last segment.
    """

    number: int
    seed: int
    is_accepted: bool
    success: SuccessEstimate | None
    work_seconds: float
    is_complete: bool = True

    @property
    def probability(self) -> float:
        """The judged success, 0..1; 0 where the engine judged none."""
        return 0.0 if self.success is None else self.success.probability


@dataclass(frozen=True, slots=True)
class AttemptsReport:
    """All attempts of a job in order, the number of the delivered one, and why no further one was made."""

    results: tuple[AttemptResult, ...]
    delivered_number: int
    end: AttemptsEnd


class JobAttempts:
    """Judges the clips of a job by its plan. A chain that was stopped is not accepted, however well its segments are.

    ``refuse`` says why no further attempt may begin now, or counts one and returns None. It is asked last, after
    threshold, number and deadline.
    """

    def __init__(self, plan: AttemptPlan, prepared: PreparedJob, refuse: Callable[[], AttemptsEnd | None]) -> None:
        self._plan = plan
        self._prepared = prepared
        self._refuse = refuse
        self._clips: list[JobDone] = []
        self._results: list[AttemptResult] = []
        self.end: AttemptsEnd | None = None

    @property
    def number(self) -> int:
        """The attempt that runs, or ran last, from 1."""
        return len(self._results) + (self.end is None)

    @property
    def prepared(self) -> PreparedJob:
        """The job of that attempt."""
        return self._prepared.attempt(self.number)

    @property
    def best_number(self) -> int:
        """The attempt with the highest judged success, the earliest among equals. An accepted one has the highest.

        Stopped chains come after complete ones.
        """
        return max(self._results, key=lambda result: (result.is_complete, result.probability, -result.number)).number

    def judge(self, done: JobDone, remaining_seconds: float | None) -> AttemptResult:
        """The result of the attempt that ran; sets ``end`` unless a further one follows.

        A further one must take no longer than this one to be in time; ``remaining_seconds`` None: no deadline.
        """
        success, is_complete = done.success, done.chain is None or done.chain.stop is None
        result = AttemptResult(
            self.number,
            self.prepared.settings.seed,
            is_complete and success is not None and success.probability >= self._plan.accept,
            success,
            done.work_seconds,
            is_complete,
        )
        self._clips.append(done)
        self._results.append(result)
        self.end = self._end_after(result, remaining_seconds)
        return result

    def report(self, end: AttemptsEnd) -> AttemptsReport:
        """The report on all attempts."""
        return AttemptsReport(tuple(self._results), self.best_number, end)

    def delivered(self) -> JobDone:
        """The summary of the best clip, with the time of all attempts, until the first frame of any, and its peak."""
        return replace(
            self._clips[self.best_number - 1],
            work_seconds=sum(clip.work_seconds for clip in self._clips),
            first_frame_seconds=self._clips[0].first_frame_seconds,
            peak_memory_bytes=max(clip.peak_memory_bytes for clip in self._clips),
        )

    def _end_after(self, result: AttemptResult, remaining_seconds: float | None) -> AttemptsEnd | None:
        if result.is_accepted:
            return AttemptsEnd.ACCEPTED
        if result.number == self._plan.maximum_count:
            return AttemptsEnd.MAXIMUM_COUNT
        if remaining_seconds is not None and remaining_seconds < result.work_seconds:
            return AttemptsEnd.DEADLINE
        return self._refuse()
