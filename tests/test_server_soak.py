"""The short form of ``benchmarks.soak``: no job leaves anything behind, and a deliberate leak is found."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.soak import run

pytestmark = pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="shared memory is counted in /proc")
MAX_BYTES_PER_JOB = 48 * 1024  # of so few jobs memory is not a straight line yet; the leak is 256 KiB


def test_nothing_is_left_of_many_jobs(promise: Callable[[str, str], None]) -> None:
    soak = run(250, seed=1)
    assert soak.faults(MAX_BYTES_PER_JOB) == []
    assert {"complete", "cancelled", "disconnected", "DEADLINE_EXCEEDED"} <= set(soak.ends)
    assert sum(soak.ends.values()) == 250
    calls = f"{soak.started:.0f} started, {soak.handled:.0f} handled"
    promise("soak", f"250 jobs: {calls}, 0 tasks, files and shared memory more")


def test_a_leak_on_purpose_is_found(promise: Callable[[str, str], None]) -> None:
    found = {
        fault.partition(":")[0]
        for fault in run(100, seed=1, leaks=("memory", "file", "task")).faults(MAX_BYTES_PER_JOB)
    }
    assert found >= {"memory", "file", "task"}
    promise("soak", "memory, a file and a task lost with every job: 3 of 3 found")
