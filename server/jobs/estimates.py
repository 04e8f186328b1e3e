"""Estimates of a job's time, from the times of earlier jobs, and of its memory, from the plan. Runs in the event loop.

All times are those of one attempt. The time of a job is that of its steps and that of everything else. Both are medians
over the last completed attempts of the same size, length and guidance on this server, by the clock, so that they hold
for this machine and its load. For a size without a completed job the times of the nearest size are scaled by the number
of pixels. Before the first completed job there is no estimate.
"""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

from engine.api.capabilities import Geometry
from engine.api.events import JobDone, Stage, StageStarted, StepDone
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


class _History:
    def __init__(self) -> None:
        self.step_seconds: deque[float] = deque(maxlen=_SAMPLE_COUNT)
        self.other_seconds: deque[float] = deque(maxlen=_SAMPLE_COUNT)
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
        seconds = median(history.step_seconds) * job.settings.step_count + median(history.other_seconds)
        is_trusted = nearest == kind and self._clock() - history.learned_at < _TRUSTED_SECONDS
        return Estimate(seconds * kind.cost / nearest.cost, is_trusted, peak_bytes)

    def timer(self, job: PreparedJob) -> JobTimer:
        """The listener that measures a job."""
        return JobTimer(_kind_of(job), self._learn, self._clock)

    def _learn(self, kind: _Kind, step_seconds: float, other_seconds: float) -> None:
        history = self._histories.setdefault(kind, _History())
        history.step_seconds.append(step_seconds)
        history.other_seconds.append(other_seconds)
        history.learned_at = self._clock()


class JobTimer(JobListener):
    """Measures one job by its events, and reports the times of a completed job to ``learn``."""

    def __init__(self, kind: _Kind, learn: Callable[[_Kind, float, float], None], clock: Callable[[], float]) -> None:
        self._kind = kind
        self._learn = learn
        self._clock = clock
        self._started_at = self._denoise_started_at = self._last_step_at = 0.0
        self._step_count = 0
        self._is_retried = False

    def work_started(self, queue_seconds: float) -> None:  # noqa: ARG002
        """See ``JobListener``."""
        self._started_at = self._clock()

    def retried(self) -> None:
        """See ``JobListener``. The time of a retried job says nothing about other jobs."""
        self._is_retried = True

    def attempt_started(self, number: int) -> None:  # noqa: ARG002
        """See ``JobListener``."""
        self._started_at = self._clock()
        self._step_count = 0
        self._is_retried = False

    def engine_event(self, event: Event) -> None:
        """See ``JobListener``."""
        if self._is_retried:
            return
        match event:
            case StageStarted(stage=Stage.DENOISE):
                self._denoise_started_at = self._clock()
            case StepDone():
                self._last_step_at = self._clock()
                self._step_count += 1
            case JobDone() if self._step_count:
                denoise_seconds = self._last_step_at - self._denoise_started_at
                other_seconds = self._clock() - self._started_at - denoise_seconds
                self._learn(self._kind, denoise_seconds / self._step_count, other_seconds)


def _kind_of(job: PreparedJob) -> _Kind:
    settings = job.settings
    is_guided = max(settings.guidance_scale, settings.guidance_scale_low_noise or 0.0) > 1.0
    return _Kind(settings.geometry, is_guided)
