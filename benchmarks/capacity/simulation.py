"""The queue event by event: one queue, first come first served, equal cards, bounded places, callers who give up."""

from __future__ import annotations

import heapq
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.capacity.formula import Figures

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from benchmarks.capacity.service import ServiceTimes

# The first jobs find an empty fleet.
_WARM_UP_SHARE = 0.1


@dataclass(frozen=True)
class Played:
    """The outcome of each job, by its number: seconds of waiting; NaN for a job that was not served."""

    waits: NDArray[np.float64]
    refused: NDArray[np.bool_]
    gave_up: NDArray[np.bool_]


@dataclass(frozen=True)
class Simulated(Figures):
    """Means over several runs. ``wait_error_seconds``: half of the 95 % confidence interval of the mean wait."""

    wait_error_seconds: float
    gave_up_share: float


def play(
    arrivals: Iterable[float],
    services: Iterable[float],
    cards: int,
    queue_jobs: int | None = None,
    patience_seconds: float = math.inf,
) -> Played:
    """Plays jobs through the queue; ``arrivals`` are times in order, ``services`` the seconds of each job on a card.

    A job that finds ``queue_jobs`` waiting is refused. A caller leaves the queue after ``patience_seconds``.
    """
    free_at = [0.0] * cards  # a heap: the first card that is free takes the next job
    leaves_at: list[float] = []  # a heap: when each waiting job leaves the queue, for a card or for good
    waits, refused, gave_up = [], [], []
    for now, seconds in zip(arrivals, services, strict=True):
        while leaves_at and leaves_at[0] <= now:
            heapq.heappop(leaves_at)
        begins_at = max(now, free_at[0])
        is_refused = begins_at > now and queue_jobs is not None and len(leaves_at) >= queue_jobs
        is_late = not is_refused and begins_at - now > patience_seconds
        refused.append(is_refused)
        gave_up.append(is_late)
        waits.append(math.nan if is_refused or is_late else begins_at - now)
        if begins_at > now and not is_refused:
            heapq.heappush(leaves_at, min(begins_at, now + patience_seconds))
        if not is_refused and not is_late:
            heapq.heapreplace(free_at, begins_at + seconds)
    return Played(np.array(waits), np.array(refused), np.array(gave_up))


def simulate(
    service: ServiceTimes,
    jobs_per_second: float,
    cards: int,
    queue_jobs: int | None = None,
    patience_seconds: float = math.inf,
    *,
    job_count: int = 20_000,
    run_count: int = 10,
    seed: int = 0,
) -> Simulated:
    """Simulates ``run_count`` runs of ``job_count`` jobs each; the same seed gives the same figures."""
    first = int(job_count * _WARM_UP_SHARE)
    means, quantiles, refused, gave_up = [], [], [], []
    for run in range(run_count):
        random = np.random.default_rng((seed, run))
        arrivals = np.cumsum(random.exponential(1 / jobs_per_second, size=job_count))
        played = play(arrivals, service.draw(random, job_count), cards, queue_jobs, patience_seconds)
        served = played.waits[first:][~np.isnan(played.waits[first:])]
        means.append(served.mean() if served.size else 0.0)
        quantiles.append(np.quantile(served, 0.95) if served.size else 0.0)
        refused.append(played.refused[first:].mean())
        gave_up.append(played.gave_up[first:].mean())
    error = 1.96 * float(np.std(means, ddof=1)) / math.sqrt(run_count) if run_count > 1 else math.inf
    shares = float(np.mean(refused)), error, float(np.mean(gave_up))
    return Simulated(float(np.mean(means)), float(np.mean(quantiles)), *shares)
