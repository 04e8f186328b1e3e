"""``python -m benchmarks.capacity.check --json FILE``: formula and simulation against real servers behind HAProxy.

In each case jobs arrive at random, seeded, at a fleet whose engine sleeps for a varied time. The service times that
were measured go into formula and simulation. Three comparisons, in one run:

* ``replayed``: the simulation plays the very arrivals and service times of the run. It differs from the real fleet only
  where HAProxy does not do what the model says. A job that was refused counts with the time that its steps would take.
* ``low`` .. ``high``: 95 of 100 simulated runs of as many jobs have a mean wait between these two. A short run is a
  matter of chance; the real one should lie within.
* ``formula`` and ``simulated``: for a fleet that goes on for ever.

An idle fleet takes ``idle_seconds`` from the request to the first event. It counts as service, not as wait.
"""

from __future__ import annotations

import argparse
import asyncio
import math
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import grpc.aio
import numpy as np

from benchmarks.capacity.formula import figures
from benchmarks.capacity.jobs import FIXED_CALL_COUNT, FRAME_COUNT, HEIGHT_PX, WIDTH_PX, Timed, send
from benchmarks.capacity.service import ServiceTimes, measured
from benchmarks.capacity.simulation import play, simulate
from benchmarks.fleet.machines import fleet
from benchmarks.report import Report
from stillcue.proxies import DIRECT

if TYPE_CHECKING:
    from numpy.typing import NDArray

CALL_SECONDS = 0.05
MEAN_STEP_COUNT, SPREAD_STEP_COUNT, MOST_STEPS = 14.0, 7.0, 50
_ANY_NUMBER = 100_000
_IDLE_JOB_COUNT = 12
_CHANCE_RUN_COUNT = 1_000


@dataclass(frozen=True)
class Case:
    """A number of cards, the load as a share of them, and the places of the queue.

    The load counts the sleep of the engine alone; with what a server needs besides, it is some hundredths more.
    """

    name: str
    cards: int
    load: float
    queue_jobs: int | None = None


CASES = (
    Case("2_cards_load_70", 2, 0.7),
    Case("3_cards_load_60", 3, 0.6),
    Case("3_cards_load_85", 3, 0.85),
    Case("3_cards_load_130_queue_3", 3, 1.3, 3),
)


def main() -> None:
    """Runs all cases and writes the report."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.capacity.check", description=__doc__)
    parser.add_argument("--json", type=Path, required=True)
    parser.add_argument("--jobs", type=int, default=200, help="jobs of a case (%(default)s)")
    options = parser.parse_args()
    found: dict[str, float] = {}
    for seed, case in enumerate(CASES, start=1):
        found |= {f"{case.name}_{key}": value for key, value in asyncio.run(compare(case, options.jobs, seed)).items()}
    report = Report("capacity", found)
    report.write(options.json)
    report.show()


async def compare(case: Case, job_count: int, seed: int) -> dict[str, float]:
    """Runs a case and returns its figures by name. Raises ``SystemExit`` without HAProxy."""
    random = np.random.default_rng(seed)
    shape = (MEAN_STEP_COUNT / SPREAD_STEP_COUNT) ** 2
    step_counts = np.clip(random.gamma(shape, MEAN_STEP_COUNT / shape, job_count).round(), 1, MOST_STEPS).astype(int)
    rate = case.load * case.cards / ((FIXED_CALL_COUNT + MEAN_STEP_COUNT) * CALL_SECONDS)
    arrivals = np.cumsum(random.exponential(1 / rate, job_count))
    places = _ANY_NUMBER if case.queue_jobs is None else case.queue_jobs
    side = ("benchmarks.fleet.side", *map(str, (CALL_SECONDS, WIDTH_PX, HEIGHT_PX, FRAME_COUNT)))
    with tempfile.TemporaryDirectory() as folder:
        async with (
            fleet(Path(folder), side, f"--queue-jobs={places}", count=case.cards) as servers,
            grpc.aio.insecure_channel(servers.address, options=DIRECT) as channel,
        ):
            alone = [(await send(channel, [0.0], [1]))[0] for _ in range(_IDLE_JOB_COUNT)]
            idle_seconds = float(np.median([_wait(job) for job in alone]))
            jobs = await send(channel, list(arrivals), [int(steps) for steps in step_counts])
    asked = (FIXED_CALL_COUNT + step_counts) * CALL_SECONDS
    return _figures(case, jobs, asked, idle_seconds=idle_seconds, rate=rate, seed=seed)


def _figures(
    case: Case, jobs: list[Timed], asked: NDArray[np.float64], *, idle_seconds: float, rate: float, seed: int
) -> dict[str, float]:
    """``asked``: the seconds that the engine sleeps for each job."""
    served = [job for job in jobs if job.accepted_at is not None]
    waits = np.array([max(_wait(job) - idle_seconds, 0.0) for job in served])
    service = measured(tuple(job.ended_at - job.sent_at - _wait(job) + idle_seconds for job in served), case.name)
    refused_share = 1 - len(served) / len(jobs)
    formula = figures(service, rate, case.cards, case.queue_jobs)
    simulated = simulate(service, rate, case.cards, case.queue_jobs, seed=seed)
    low, high = _chance(case, service, rate, len(jobs), seed)
    result = {
        "load_share": rate * service.mean_seconds / case.cards,
        "service_mean_seconds": service.mean_seconds,
        "service_spread_seconds": service.spread_seconds,
        "idle_seconds": idle_seconds,
        "measured_wait_mean_seconds": float(waits.mean()),
        "measured_wait_p95_seconds": float(np.quantile(waits, 0.95)),
        "measured_refused_share": refused_share,
        "low_wait_mean_seconds": low,
        "high_wait_mean_seconds": high,
        "simulated_wait_mean_seconds": simulated.wait_mean_seconds,
        "simulated_wait_p95_seconds": simulated.wait_p95_seconds,
        "simulated_refused_share": simulated.refused_share,
        "formula_wait_mean_seconds": formula.wait_mean_seconds,
        "formula_wait_p95_seconds": formula.wait_p95_seconds,
        "formula_refused_share": formula.refused_share,
    }
    is_served = np.array([job.accepted_at is not None for job in jobs])
    times = asked + (service.mean_seconds - asked[is_served].mean())
    times[is_served] = service.samples
    replayed = play([job.sent_at for job in jobs], times, case.cards, case.queue_jobs)
    replayed_waits = replayed.waits[~replayed.refused]
    result |= {
        "replayed_wait_mean_seconds": float(replayed_waits.mean()),
        "replayed_wait_p95_seconds": float(np.quantile(replayed_waits, 0.95)),
        "replayed_refused_share": float(replayed.refused.mean()),
        "measured_per_replayed_ratio": float(waits.mean() / replayed_waits.mean()),
    }
    # A queue that grows without end has no mean.
    return {name: value for name, value in result.items() if math.isfinite(value)}


def _wait(job: Timed) -> float:
    assert job.accepted_at is not None
    return job.accepted_at - job.sent_at


def _chance(case: Case, service: ServiceTimes, rate: float, job_count: int, seed: int) -> tuple[float, float]:
    """Returns the limits between which the mean wait of 95 of 100 runs lies that begin with an empty fleet."""
    means = []
    for run in range(_CHANCE_RUN_COUNT):
        random = np.random.default_rng((seed, run))
        arrivals = np.cumsum(random.exponential(1 / rate, job_count))
        means.append(np.nanmean(play(arrivals, service.draw(random, job_count), case.cards, case.queue_jobs).waits))
    low, high = np.quantile(means, [0.025, 0.975])
    return float(low), float(high)


if __name__ == "__main__":
    main()
