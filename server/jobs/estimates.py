"""Estimates of a job's time, from the times of earlier jobs, and of its memory, from the plan. Runs in the event loop.

All times are those of one attempt. The time of a job is that of its steps and that of everything else. Both are medians
over the last completed attempts of the same size, length and guidance on this server, by the clock, so that they hold
for this machine and its load. For a size without a completed job the times of the nearest size are scaled by the number
of pixels. Before the first completed job there is no estimate.

A step that reuses earlier ones takes less time than a full step. The time of a full step is learned from full steps
alone, those of jobs with reuse included. The steps of a job with reuse take as long as so many full steps as they did
in completed jobs with the same reuse and number of steps; before the first such job each counts as a full step.
"""

from __future__ import annotations

import time
from collections import defaultdict, deque
from dataclasses import dataclass
from functools import partial
from statistics import fmean, median
from typing import TYPE_CHECKING

from engine.api.capabilities import Geometry
from engine.api.events import JobDone, Stage, StageStarted, StepDone
from engine.api.reuse import StepReuse, StepWork
from server.jobs.listener import JobListener

if TYPE_CHECKING:
    from collections.abc import Callable

    from engine.api.capabilities import Capabilities
    from engine.api.events import Event
    from engine.api.job import PreparedJob

_SAMPLE_COUNT = 9
# A job that is refused for its estimate teaches nothing. After this time an estimate refuses no job any more.
_TRUSTED_SECONDS = 900.0


@dataclass(frozen=True, slots=True)
class Estimate:
    """Seconds and memory that a job is likely to take; None: no estimate.

    ``is_trusted``: the estimate is recent enough to refuse a job for it.
    """

    work_seconds: float | None = None
    is_trusted: bool = False
    peak_memory_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class _Kind:
    """Jobs that take the same time except for their number of steps. A guided step has two forwards, any other one."""

    geometry: Geometry
    is_guided: bool

    @property
    def cost(self) -> int:
        """Pixels that a step handles, comparable between kinds."""
        pixels = self.geometry.width_px * self.geometry.height_px * self.geometry.frame_count
        return pixels * 2 if self.is_guided else pixels


@dataclass(frozen=True, slots=True)
class _Sampling:
    """What decides how many steps of a job reuse earlier ones."""

    reuse: StepReuse
    step_count: int


@dataclass(frozen=True, slots=True)
class _Times:
    """Measured times of one attempt: the mean of its full steps, the sum of all its steps, everything else."""

    full_step_seconds: float
    denoise_seconds: float
    other_seconds: float


def _samples() -> deque[float]:
    return deque(maxlen=_SAMPLE_COUNT)


class _History:
    """``full_step_counts``: the number of full steps that take as long as all steps of a job with that sampling."""

    def __init__(self) -> None:
        self.step_seconds = _samples()
        self.other_seconds = _samples()
        self.full_step_counts: defaultdict[_Sampling, deque[float]] = defaultdict(_samples)
        self.learned_at = 0.0


class Estimates:
    """Learns from completed jobs, and estimates new ones. ``clock`` returns seconds."""

    def __init__(self, capabilities: Capabilities, clock: Callable[[], float] = time.monotonic) -> None:
        self._peak_bytes = {plan.geometry: plan.peak_bytes for plan in capabilities.memory_plans}
        self._clock = clock
        self._histories: dict[_Kind, _History] = {}

    def of(self, job: PreparedJob) -> Estimate:
        """The estimate for a job that waits for no other one."""
        kind = _kind_of(job)
        peak_bytes = self._peak_bytes.get(kind.geometry)
        if not self._histories:
            return Estimate(peak_memory_bytes=peak_bytes)
        nearest = min(self._histories, key=lambda known: (known != kind, abs(known.cost - kind.cost)))
        history = self._histories[nearest]
        sampling = _sampling_of(job)
        counts = history.full_step_counts.get(sampling)
        full_step_count = sampling.step_count if counts is None else median(counts)
        seconds = median(history.step_seconds) * full_step_count + median(history.other_seconds)
        is_known = nearest == kind and (counts is not None or sampling.reuse is StepReuse.OFF)
        is_trusted = is_known and self._clock() - history.learned_at < _TRUSTED_SECONDS
        return Estimate(seconds * kind.cost / nearest.cost, is_trusted, peak_bytes)

    def timer(self, job: PreparedJob) -> JobTimer:
        """The listener that measures a job."""
        return JobTimer(partial(self._learn, _kind_of(job), _sampling_of(job)), self._clock)

    def _learn(self, kind: _Kind, sampling: _Sampling, times: _Times) -> None:
        history = self._histories.setdefault(kind, _History())
        history.step_seconds.append(times.full_step_seconds)
        history.other_seconds.append(times.other_seconds)
        if sampling.reuse is not StepReuse.OFF and times.full_step_seconds > 0.0:
            history.full_step_counts[sampling].append(times.denoise_seconds / times.full_step_seconds)
        history.learned_at = self._clock()


class JobTimer(JobListener):
    """Measures one job by its events, and reports the times of a completed job to ``learn``."""

    def __init__(self, learn: Callable[[_Times], None], clock: Callable[[], float]) -> None:
        self._learn = learn
        self._clock = clock
        self._begin()

    def _begin(self) -> None:
        self._started_at = self._denoise_started_at = self._last_step_at = self._clock()
        self._full_step_seconds: list[float] = []
        self._is_retried = False

    def work_started(self, queue_seconds: float) -> None:  # noqa: ARG002
        """See ``JobListener``."""
        self._begin()

    def retried(self) -> None:
        """See ``JobListener``. The time of a retried job says nothing about other jobs."""
        self._is_retried = True

    def attempt_started(self, number: int) -> None:  # noqa: ARG002
        """See ``JobListener``."""
        self._begin()

    def engine_event(self, event: Event) -> None:
        """See ``JobListener``."""
        if self._is_retried:
            return
        match event:
            case StageStarted(stage=Stage.DENOISE):
                self._denoise_started_at = self._last_step_at = self._clock()
            case StepDone():
                now = self._clock()
                if event.work is StepWork.FULL:
                    self._full_step_seconds.append(now - self._last_step_at)
                self._last_step_at = now
            case JobDone() if self._full_step_seconds:
                denoise_seconds = self._last_step_at - self._denoise_started_at
                other_seconds = self._clock() - self._started_at - denoise_seconds
                self._learn(_Times(fmean(self._full_step_seconds), denoise_seconds, other_seconds))


def _kind_of(job: PreparedJob) -> _Kind:
    settings = job.settings
    is_guided = max(settings.guidance_scale, settings.guidance_scale_low_noise or 0.0) > 1.0
    return _Kind(settings.geometry, is_guided)


def _sampling_of(job: PreparedJob) -> _Sampling:
    return _Sampling(job.settings.reuse, job.settings.step_count)
