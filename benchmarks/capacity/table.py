"""A line for each number of cards: load, waits and shares by formula and by simulation, and what a clip costs."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks.capacity.formula import Figures, figures
from benchmarks.capacity.simulation import Simulated, simulate

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.capacity.service import ServiceTimes

_SECONDS_AN_HOUR = 3600
MOST_CARDS = 2000


@dataclass(frozen=True)
class Demand:
    """The rate and the patience of callers. ``queue_jobs`` None: any number may wait.

    ``queue_jobs_per_card``: ``queue_jobs`` are those of each card, so that a larger fleet has a longer queue.
    """

    jobs_per_hour: float
    queue_jobs: int | None = None
    queue_jobs_per_card: bool = False
    patience_seconds: float = math.inf

    @property
    def jobs_per_second(self) -> float:
        """The rate of arrivals."""
        return self.jobs_per_hour / _SECONDS_AN_HOUR

    def places(self, cards: int) -> int | None:
        """Returns how many jobs may wait before this many cards."""
        return self.queue_jobs * cards if self.queue_jobs is not None and self.queue_jobs_per_card else self.queue_jobs


@dataclass(frozen=True)
class Row:
    """One number of cards. ``simulated`` None: the queue grows without end."""

    cards: int
    load_share: float
    approximated: Figures
    simulated: Simulated | None
    card_hours_per_clip: float


def row(service: ServiceTimes, demand: Demand, cards: int, *, job_count: int, run_count: int, seed: int) -> Row:
    """Computes the line of a number of cards."""
    places = demand.places(cards)
    load_share = demand.jobs_per_second * service.mean_seconds / cards
    approximated = figures(service, demand.jobs_per_second, cards, places)
    if places is None and math.isinf(demand.patience_seconds) and load_share >= 1:
        return Row(cards, load_share, approximated, None, service.mean_seconds / _SECONDS_AN_HOUR)
    simulated = simulate(
        service,
        demand.jobs_per_second,
        cards,
        places,
        demand.patience_seconds,
        job_count=job_count,
        run_count=run_count,
        seed=seed,
    )
    completed_per_hour = demand.jobs_per_hour * (1 - simulated.refused_share - simulated.gave_up_share)
    return Row(cards, load_share, approximated, simulated, cards / completed_per_hour)


def enough(service: ServiceTimes, demand: Demand, wait_p95_seconds: float) -> int:
    """Returns the smallest number of cards with this wait at most, by formula and without refusals.

    Raises ``ValueError`` above 2,000 cards.
    """
    load = demand.jobs_per_second * service.mean_seconds
    for cards in range(max(1, math.ceil(load)), MOST_CARDS + 1):
        if figures(service, demand.jobs_per_second, cards, None).wait_p95_seconds <= wait_p95_seconds:
            return cards
    raise ValueError(f"more than {MOST_CARDS} cards")


def lines(rows: list[Row], price_per_card_hour: float | None, *, has_patience: bool) -> Iterator[str]:
    """Yields the table for a terminal. A pair is formula / simulation."""
    price = "" if price_per_card_hour is None else f"{'price/clip':>11}"
    gave_up = f"{'gave up':>9}" if has_patience else ""
    yield (
        f"{'cards':>5}{'load':>7}{'mean wait s':>24}{'p95 wait s':>18}{'refused':>17}"
        f"{gave_up}{'card-h/clip':>13}{price}"
    )
    for item in rows:
        simulated, approximated = item.simulated, item.approximated
        cost = "" if price_per_card_hour is None else f"{item.card_hours_per_clip * price_per_card_hour:11.4f}"
        if simulated is None:
            mean, p95, refused, left = "grows without end", "", "", ""
        else:
            # The formula knows no callers who give up.
            known = ("-",) * 3 if has_patience else _shown(approximated)
            pairs = [f"{before} / {after}" for before, after in zip(known, _shown(simulated), strict=True)]
            mean, p95, refused = f"{pairs[0]} ±{simulated.wait_error_seconds:.2g}", *pairs[1:]
            left = f"{simulated.gave_up_share:9.2%}" if has_patience else ""
        yield (
            f"{item.cards:5}{item.load_share:7.0%}{mean:>24}{p95:>18}{refused:>17}"
            f"{left}{item.card_hours_per_clip:13.4f}{cost}"
        )


def _shown(found: Figures) -> tuple[str, str, str]:
    return f"{found.wait_mean_seconds:.4g}", f"{found.wait_p95_seconds:.4g}", f"{found.refused_share:.2%}"
