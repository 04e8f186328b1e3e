"""Service times on paper, and how many cards they mean: the tables of ``docs/capacity.md``.

No clip has been made on either card. A forward is one call of a 14B expert at 832x480 and 81 frames: products at 80 %
of the card's peak (an H100 reached 79 %, ``docs/benchmarks.md``), attention at published rates, 1 s for the rest.
Encoding, decoding and the swap of experts over PCIe are rounded up from what the H100 took, by the ratio of peaks.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path

from benchmarks.capacity.service import ServiceTimes, stated
from benchmarks.capacity.table import Demand, enough

JOBS_PER_HOUR = (1, 10, 100, 1_000)
# Clips of one size differ little; callers who mix sizes have more, and must measure.
SPREAD_SHARE = 0.3
# Above it a rate that is a little higher than planned, or one lost card, makes the queue grow for hours.
MOST_LOAD = 0.85
# Decimal gigabytes on the wire, of which protocols take about 6 %.
_USABLE_SHARE = 0.94
_RESULTS = Path(__file__).parents[1] / "results"


@dataclass(frozen=True)
class PaperClip:
    """A clip on a card: seconds of a forward, how many there are, and seconds of everything else."""

    card: str
    what: str
    forward_count: int
    forward_seconds: float
    other_seconds: float

    @property
    def service(self) -> ServiceTimes:
        """The time of a clip, with ``SPREAD_SHARE``."""
        mean = self.forward_count * self.forward_seconds + self.other_seconds
        return stated(mean, SPREAD_SHARE * mean)


_STEPS = (("4 steps, no guidance", 4), ("20 steps, guidance", 40), ("40 steps, guidance", 80))
CLIPS = (
    *(PaperClip("RTX 4090, FP8", what, count, 9.5, 8.0) for what, count in _STEPS),
    *(PaperClip("RTX 3090, INT4", what, count, 28.0, 18.0) for what, count in _STEPS),
)


def cards_rows() -> list[tuple[str, ...]]:
    """Returns card, clip, seconds of it and for each rate of arrivals the cards and their load.

    Enough cards: they are busy for 85 % of the time at most, and one job in 20 at most waits longer than a clip takes.
    """
    rows = []
    for clip in CLIPS:
        service = clip.service
        cells = []
        for rate in JOBS_PER_HOUR:
            demand = Demand(rate)
            load = demand.jobs_per_second * service.mean_seconds
            cards = max(enough(service, demand, service.mean_seconds), math.ceil(load / MOST_LOAD))
            cells.append(f"{cards} ({load / cards:.0%})")
        rows.append((clip.card, clip.what, f"{service.mean_seconds:,.0f} s", *cells))
    return rows


def bundles() -> tuple[tuple[str, float], ...]:
    """Names and decimal gigabytes of bundles of true size, from the figures of their benchmarks."""
    started, exported = _figures("true_size_start"), _figures("true_size_export")
    whole = started["a14b_int4_bundle_bytes"] / 1e9
    return (
        ("A14B, INT4, plans only", whole * started["a14b_int4_plans_only_ratio"]),
        ("A14B, FP8, plans only", exported["bundle_bytes"] / 1e9),
        ("A14B, INT4, with graphs", whole),
    )


def transfer_rows() -> list[tuple[str, ...]]:
    """Returns each bundle with its size and the time to one machine, and to 100 machines from one source."""
    rows = []
    for name, gigabytes in bundles():
        one = [gigabytes * 8 / (gigabits * _USABLE_SHARE) for gigabits in (1, 10)]
        cells = [_duration(count * seconds) for count in (1, 100) for seconds in one]
        rows.append((name, f"{gigabytes:.1f} GB", *cells))
    return rows


def _figures(benchmark: str) -> dict[str, float]:
    figures: dict[str, float] = json.loads((_RESULTS / f"{benchmark}.json").read_text(encoding="utf-8"))["figures"]
    return figures


def _duration(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6_000 else f"{seconds / 3_600:.1f} h"
