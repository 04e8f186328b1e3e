"""The queue in formulas: M/G/c with a bounded or an unbounded queue, from the M/M/c/K queue.

* Erlang B by its recursion, and the M/M/c/K queue on top of it (A. K. Erlang, 1917; L. Kleinrock, Queueing Systems I,
  1975, section 3.8): exact for exponential service times.
* Other service times scale the wait by (1 + cs^2) / 2, the approximation of Allen and Cunneen (A. O. Allen,
  Probability, Statistics, and Queueing Theory, 2nd edition 1990, section 5.3.3), whose mean is exact for one card
  (Pollaczek, Khinchine) and close to J. F. C. Kingman's bound for heavy traffic (1961). cs is the coefficient of
  variation.
* A queue of K places counts as K / ((1 + cs^2) / 2) places of the exponential queue, so that both lengths of the queue
  relate as their means do, as in a diffusion (E. Gelenbe, Journal of the ACM 22, 1975). Without a queue the share of
  refusals is then exact for all service times: Erlang's loss formula depends on the mean alone.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from benchmarks.capacity.service import ServiceTimes

_NEGLIGIBLE = 1e-12


@dataclass(frozen=True)
class Figures:
    """Waits and refusals of a queue. Waits are those of jobs that were served; shares are of all jobs.

    ``wait_mean_seconds`` is infinite where the queue grows without end.
    """

    wait_mean_seconds: float
    wait_p95_seconds: float
    refused_share: float


def erlang_b(load: float, cards: int) -> float:
    """Returns the share of time in which all cards are busy if no job may wait; ``load`` in erlangs."""
    share = 1.0
    for number in range(1, cards + 1):
        share = load * share / (number + load * share)
    return share


def figures(service: ServiceTimes, jobs_per_second: float, cards: int, queue_jobs: int | None) -> Figures:
    """Approximates the queue; ``queue_jobs`` None: any number may wait."""
    load = jobs_per_second * service.mean_seconds
    ratio = load / cards
    if queue_jobs is None and ratio >= 1:
        return Figures(math.inf, math.inf, 0.0)
    scale = (1 + service.squared_variation) / 2
    places = _places_that_matter(ratio) if queue_jobs is None else round(queue_jobs / scale)
    waiting = np.arange(places + 1)
    # Relative to the queue without places: all cards are busy and this many jobs wait.
    busy = erlang_b(load, cards) * ratio**waiting
    probability = busy / (1 + busy[1:].sum())
    refused = float(probability[-1]) if queue_jobs is not None else 0.0
    # An arriving job that finds j waiting waits for j + 1 departures.
    found = probability[:-1] / (1 - refused)
    departure_seconds = scale * service.mean_seconds / cards
    mean = float((found * (waiting[:-1] + 1)).sum()) * departure_seconds
    return Figures(mean, _quantile(found, departure_seconds, 0.95), refused)


def _places_that_matter(ratio: float) -> int:
    return math.ceil(math.log(_NEGLIGIBLE) / math.log(ratio)) if ratio > 0 else 0


def _quantile(found: np.ndarray, departure_seconds: float, share: float) -> float:
    """Returns the wait that this share of jobs does not exceed.

    ``found[j]`` is the probability that all cards are busy and j jobs wait when a job arrives.
    """
    steps = np.arange(len(found))
    log_factorials = np.cumsum(np.log(np.maximum(steps, 1)))

    def share_above(seconds: float) -> float:
        # The sum of j + 1 exponential times exceeds t with the probability of at most j events of a Poisson process.
        events = seconds / departure_seconds
        logarithms = steps * math.log(events) - events - log_factorials
        return float((found * np.minimum(np.cumsum(np.exp(logarithms)), 1)).sum())

    if found.sum() <= 1 - share:
        return 0.0
    low, high = 0.0, departure_seconds
    while share_above(high) > 1 - share:
        low, high = high, 2 * high
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (middle, high) if share_above(middle) > 1 - share else (low, middle)
    return high
