"""The short form of ``benchmarks.fuzz``: no request causes a server error, and memory does not grow."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.fuzz import MAX_GROWTH_BYTES, run

pytestmark = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from /proc")


def test_no_request_is_the_servers_fault(promise: Callable[[str, str], None]) -> None:
    fuzz = run(500, seed=1, bomb_bytes=64 * 2**20)
    assert fuzz.is_alive
    assert fuzz.fault_count == 0, fuzz.ends
    assert {"OK", "INVALID_ARGUMENT", "UNIMPLEMENTED", "RESOURCE_EXHAUSTED"} <= set(fuzz.ends)
    growth_bytes = fuzz.memory_peak_bytes - fuzz.memory_first_bytes
    assert growth_bytes < MAX_GROWTH_BYTES
    count = sum(fuzz.ends.values())
    promise("hostile", f"{count} mutated requests: 0 INTERNAL, +{growth_bytes / 2**20:.0f} MiB at the peak")
