"""The comparison with real servers runs, over a few jobs; its figures of two hundred are in docs/capacity.md."""

from __future__ import annotations

import asyncio

import pytest

from benchmarks.capacity.check import Case, compare

pytestmark = pytest.mark.walk


def test_real_servers_behind_haproxy_do_as_the_simulation() -> None:
    found = asyncio.run(compare(Case("overload", 2, 4.0, 2), job_count=24, seed=1))
    assert all(value >= 0 for value in found.values())
    # 24 jobs of 1 s within 3 s, for two servers and two places: four at once, then as many as servers are free.
    assert 0.4 <= found["measured_refused_share"] <= 0.9
    assert found["measured_refused_share"] == pytest.approx(found["replayed_refused_share"], abs=0.13)  # three jobs
