"""Estimates of a job's time, from the times of earlier jobs, and of its memory, from the plan. Runs in the event loop.

All times are those of one attempt. The time of a clip is that of its steps, of its text and of everything else. Each is
a median over the last completed clips of the same size, length and guidance on this server, by the clock, so that it
holds for this machine and its load. For a size without a completed clip the times of the nearest size are scaled by the
number of pixels. Before the first completed clip there is no estimate.

A chain takes the time of its segments, each estimated and learned like a clip, and that of the text once. Its memory is
that of the largest segment.

A step that reuses earlier ones takes less time than a full step. The time of a full step is learned from full steps
alone, those of jobs with reuse included. The steps of a job with reuse take as long as so many full steps as they did
in completed jobs with the same reuse and number of steps; before the first such job each counts as a full step.
"""

from __future__ import annotations

import time
from collections import defaultdict, deque
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

from engine.api.capabilities import Geometry
from engine.api.reuse import StepReuse
from server.jobs.job_timer import JobTimer

if TYPE_CHECKING:
    from collections.abc import Callable

    from engine.api.capabilities import Capabilities
    from engine.api.job import PreparedJob, Settings
    from server.jobs.job_timer import ClipTimes

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
class _ClipEstimate:
    """Seconds that a clip is likely to take: its text, and everything else."""

    seconds: float
    text_seconds: float
    is_trusted: bool


@dataclass(frozen=True, slots=True)
class _Kind:
    """Clips that take the same time except for their number of steps. A guided step has two forwards, any other one."""

    geometry: Geometry
    is_guided: bool

    @property
    def cost(self) -> int:
        """Pixels that a step handles, comparable between kinds."""
        pixels = self.geometry.width_px * self.geometry.height_px * self.geometry.frame_count
        return pixels * 2 if self.is_guided else pixels


@dataclass(frozen=True, slots=True)
class _Sampling:
    """What decides how many steps of a clip reuse earlier ones."""

    reuse: StepReuse
    step_count: int


def _samples() -> deque[float]:
    return deque(maxlen=_SAMPLE_COUNT)


class _History:
    """``full_step_counts``: the number of full steps that take as long as all steps of a job with that sampling."""

    def __init__(self) -> None:
        self.step_seconds = _samples()
        self.text_seconds = _samples()
        self.other_seconds = _samples()
        self.full_step_counts: defaultdict[_Sampling, deque[float]] = defaultdict(_samples)
        self.learned_at = 0.0


class Estimates:
    """Learns from completed clips, and estimates new jobs. ``clock`` returns seconds."""

    def __init__(self, capabilities: Capabilities, clock: Callable[[], float] = time.monotonic) -> None:
        self._peak_bytes = {plan.geometry: plan.peak_bytes for plan in capabilities.memory_plans}
        self._clock = clock
        self._histories: dict[_Kind, _History] = {}

    def of(self, job: PreparedJob) -> Estimate:
        """The estimate for a job that waits for no other one."""
        peaks = [self._peak_bytes.get(settings.geometry) for settings in job.clip_settings]
        peak_bytes = None if None in peaks else max(peak for peak in peaks if peak is not None)
        if not self._histories:
            return Estimate(peak_memory_bytes=peak_bytes)
        clips = [self._clip_estimate(settings) for settings in job.clip_settings]
        work_seconds = clips[0].text_seconds + sum(clip.seconds for clip in clips)
        return Estimate(work_seconds, all(clip.is_trusted for clip in clips), peak_bytes)

    def timer(self, job: PreparedJob) -> JobTimer:
        """The listener that measures a job."""
        return JobTimer(job.clip_settings, self._learn, self._clock)

    def _clip_estimate(self, settings: Settings) -> _ClipEstimate:
        kind, sampling = _kind_of(settings), _Sampling(settings.reuse, settings.step_count)
        nearest = min(self._histories, key=lambda known: (known != kind, abs(known.cost - kind.cost)))
        history, scale = self._histories[nearest], kind.cost / nearest.cost
        counts = history.full_step_counts.get(sampling)
        full_step_count = sampling.step_count if counts is None else median(counts)
        seconds = median(history.step_seconds) * full_step_count + median(history.other_seconds)
        text_seconds = median(history.text_seconds) if history.text_seconds else 0.0
        is_known = nearest == kind and (counts is not None or sampling.reuse is StepReuse.OFF)
        is_trusted = is_known and self._clock() - history.learned_at < _TRUSTED_SECONDS
        return _ClipEstimate(seconds * scale, text_seconds * scale, is_trusted)

    def _learn(self, settings: Settings, times: ClipTimes) -> None:
        history = self._histories.setdefault(_kind_of(settings), _History())
        history.step_seconds.append(times.full_step_seconds)
        history.other_seconds.append(times.other_seconds)
        if times.text_seconds is not None:
            history.text_seconds.append(times.text_seconds)
        if settings.reuse is not StepReuse.OFF and times.full_step_seconds > 0.0:
            sampling = _Sampling(settings.reuse, settings.step_count)
            history.full_step_counts[sampling].append(times.denoise_seconds / times.full_step_seconds)
        history.learned_at = self._clock()


def _kind_of(settings: Settings) -> _Kind:
    is_guided = max(settings.guidance_scale, settings.guidance_scale_low_noise or 0.0) > 1.0
    return _Kind(settings.geometry, is_guided)
