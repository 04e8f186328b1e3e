"""``python -m benchmarks.capacity``: cards, waits, refusals and cost for a rate of jobs, on paper."""

from __future__ import annotations

import argparse
import math
import re
import sys
from pathlib import Path

from benchmarks.capacity.service import InputInvalid, ServiceTimes, read_list, read_metrics, stated
from benchmarks.capacity.table import MOST_CARDS, Demand, enough, lines, row

_EXIT_INVALID = 2


def main(arguments: list[str] | None = None) -> int:
    """Prints the table; returns the exit code: 2 for a flag or a file that is wrong."""
    options = _parser().parse_args(arguments)
    try:
        service, demand = _service_of(options), _demand_of(options)
        cards = _cards_of(options, service, demand)
        if options.jobs < 10 or options.runs < 1:
            raise InputInvalid("--jobs needs at least 10 and --runs at least 1")
    except InputInvalid as error:
        sys.stderr.write(f"benchmarks.capacity: {error}\n")
        return _EXIT_INVALID
    print(
        f"service {service.mean_seconds:.4g} s ± {service.spread_seconds:.4g} s (standard deviation), "
        f"{demand.jobs_per_hour:g} jobs an hour, load {demand.jobs_per_second * service.mean_seconds:.3g} cards; "
        "formula / simulation"
    )
    counts = {"job_count": options.jobs, "run_count": options.runs, "seed": options.seed}
    rows = [row(service, demand, number, **counts) for number in cards]
    for line in lines(rows, options.price_per_card_hour, has_patience=math.isfinite(demand.patience_seconds)):
        print(line)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.capacity",
        description="How many cards a rate of jobs needs, and how long callers wait.",
    )
    add = parser.add_argument
    add("--jobs-per-hour", type=float, required=True, help="Generate calls of all callers together")
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--mean-seconds", type=float, help="mean time of a clip on a card")
    source.add_argument("--times", type=Path, metavar="FILE", help="measured times: a JSON list of seconds")
    source.add_argument("--metrics", type=Path, metavar="FILE", help="metrics page of a server that made clips")
    add("--spread-seconds", type=float, default=0.0, help="standard deviation of a clip's time (%(default)s)")
    add("--cards", metavar="FROM-TO", help="numbers of cards, as 3 or 1-12 (default: from the load to short waits)")
    add("--queue-jobs", type=int, help="jobs that may wait; further ones are refused (default: any number)")
    add("--queue-jobs-per-card", type=int, help="the same for each card")
    add("--patience-seconds", type=float, default=math.inf, help="callers leave after this wait (default: never)")
    add("--price-per-card-hour", type=float, help="in any currency; prints the price of a clip")
    add("--jobs", type=int, default=20_000, help="jobs of a simulated run (%(default)s)")
    add("--runs", type=int, default=10, help="simulated runs (%(default)s)")
    add("--seed", type=int, default=0, help="of the simulation (%(default)s)")
    return parser


def _service_of(options: argparse.Namespace) -> ServiceTimes:
    if options.times is not None:
        return read_list(options.times)
    if options.metrics is not None:
        return read_metrics(options.metrics, options.spread_seconds)
    return stated(options.mean_seconds, options.spread_seconds)


def _demand_of(options: argparse.Namespace) -> Demand:
    if options.queue_jobs is not None and options.queue_jobs_per_card is not None:
        raise InputInvalid("--queue-jobs and --queue-jobs-per-card exclude each other; give one")
    for flag in ("jobs_per_hour", "patience_seconds", "queue_jobs", "queue_jobs_per_card", "price_per_card_hour"):
        value = getattr(options, flag)
        lowest = 1e-9 if flag in ("jobs_per_hour", "patience_seconds") else 0
        if value is not None and (math.isnan(value) or value < lowest):
            raise InputInvalid(f"--{flag.replace('_', '-')} {value:g} is too low; give {'more than ' * bool(lowest)}0")
    if math.isinf(options.jobs_per_hour):
        raise InputInvalid("--jobs-per-hour inf is no rate; give a number")
    per_card = options.queue_jobs_per_card is not None
    places = options.queue_jobs_per_card if per_card else options.queue_jobs
    return Demand(options.jobs_per_hour, places, per_card, options.patience_seconds)


def _cards_of(options: argparse.Namespace, service: ServiceTimes, demand: Demand) -> range:
    if options.cards is None:
        load = demand.jobs_per_second * service.mean_seconds
        try:
            return range(max(1, math.floor(load)), enough(service, demand, 0.1 * service.mean_seconds) + 1)
        except ValueError as error:
            raise InputInvalid(f"the load of {load:.0f} cards needs {error}; split it into several fleets") from None
    found = re.fullmatch(r"(\d{1,4})(?:-(\d{1,4}))?", options.cards)
    first, last = (int(found[1]), int(found[2] or found[1])) if found else (0, 0)
    if not 1 <= first <= last <= MOST_CARDS:
        raise InputInvalid(f"--cards {options.cards!a} is not FROM-TO within 1 to {MOST_CARDS}; write 3 or 1-12")
    return range(first, last + 1)


if __name__ == "__main__":
    sys.exit(main())
