"""Measures the clips of one job by its events and by the clock: one clip, or each segment of a chain."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING

from engine.api.chain import SegmentStarted
from engine.api.events import JobDone, SegmentDone, Stage, StageStarted, StepDone
from engine.api.reuse import StepWork
from server.jobs.listener import JobListener

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from engine.api.events import Event
    from engine.api.job import Settings


@dataclass(frozen=True, slots=True)
class ClipTimes:
    """Measured times of one clip, or of one segment of a chain.

    The mean of its full steps, the sum of all its steps, the encoding of the text (None: not measured; of a chain, the
    first segment encodes all texts), and everything else.
    """

    full_step_seconds: float
    denoise_seconds: float
    text_seconds: float | None
    other_seconds: float


class JobTimer(JobListener):
    """Reports the times of each clip of a job to ``learn``, with its settings, as soon as the clip is complete.

    ``clips`` are the settings of the segments, or of the only clip. ``clock`` returns seconds.
    """

    def __init__(
        self, clips: Sequence[Settings], learn: Callable[[Settings, ClipTimes], None], clock: Callable[[], float]
    ) -> None:
        self._clips = clips
        self._learn = learn
        self._clock = clock
        self._begin()

    def _begin(self) -> None:
        self._index = 0
        self._started_at = self._denoise_started_at = self._last_step_at = self._clock()
        self._text_started_at: float | None = None
        self._text_seconds: float | None = None
        self._full_step_seconds: list[float] = []
        self._is_retried = False

    def work_started(self, queue_seconds: float) -> None:  # noqa: ARG002
        """See ``JobListener``."""
        self._begin()

    def retried(self) -> None:
        """See ``JobListener``. The time of a clip that is begun again says nothing about other clips."""
        self._is_retried = True

    def attempt_started(self, number: int) -> None:  # noqa: ARG002
        """See ``JobListener``."""
        self._begin()

    def engine_event(self, event: Event) -> None:
        """See ``JobListener``."""
        match event:
            case SegmentStarted(number=number):
                self._index = number - 1
            case StageStarted(stage=stage):
                self._start_stage(stage)
            case StepDone():
                now = self._clock()
                if event.work is StepWork.FULL:
                    self._full_step_seconds.append(now - self._last_step_at)
                self._last_step_at = now
            case SegmentDone() | JobDone():
                if self._full_step_seconds and not self._is_retried:
                    self._report()
                self._begin()

    def _start_stage(self, stage: Stage) -> None:
        now = self._clock()
        if self._text_started_at is not None:
            self._text_seconds, self._text_started_at = now - self._text_started_at, None
        if stage is Stage.ENCODE_TEXT:
            self._text_started_at = now
        if stage is Stage.DENOISE:
            self._denoise_started_at = self._last_step_at = now

    def _report(self) -> None:
        denoise_seconds = self._last_step_at - self._denoise_started_at
        other_seconds = self._clock() - self._started_at - denoise_seconds - (self._text_seconds or 0.0)
        times = ClipTimes(fmean(self._full_step_seconds), denoise_seconds, self._text_seconds, other_seconds)
        self._learn(self._clips[self._index], times)
