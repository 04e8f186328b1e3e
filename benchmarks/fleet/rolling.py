"""A rolling restart under load: each server in turn gets SIGTERM, ends its job and is started again."""

from __future__ import annotations

import asyncio
import itertools
import signal
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.fleet.load import Load, client_of, run_job
from benchmarks.fleet.machines import fleet

_CALLER_COUNT = 6
_ROUND_COUNT = 2
_CALL_SECONDS = 0.1
_BUSY_SECONDS = 60.0


async def rolling(folder: Path) -> dict[str, float]:
    """Returns counts of jobs that completed, failed or began twice, and of refusals that clients repeated."""
    load, is_over, seeds = Load(), asyncio.Event(), itertools.count()
    async with fleet(folder, ("benchmarks.fleet.side", str(_CALL_SECONDS), "32", "32", "9")) as running:
        callers = [asyncio.create_task(_call(running.address, seeds, load, is_over)) for _ in range(_CALLER_COUNT)]
        started = time.perf_counter()
        statuses = []
        for machine in [*running.machines] * _ROUND_COUNT:
            assert machine.process is not None
            await machine.end(signal.SIGTERM)
            statuses.append(machine.process.returncode)
            await machine.start()
            await running.is_up(machine)
        seconds = time.perf_counter() - started
        is_over.set()
        await asyncio.gather(*callers)
        again = sum(running.begun_count(seed) != 1 for seed in load.events)
    return {
        "rolling_restart_count": len(statuses),
        "rolling_unclean_exit_count": sum(status != 0 for status in statuses),
        "rolling_seconds": seconds,
        "rolling_caller_count": _CALLER_COUNT,
        "rolling_completed_count": load.completed_count,
        "rolling_failed_count": len(load.failures),
        "rolling_begun_again_count": again,
        "rolling_refusal_count": len(load.refusals),
    }


async def _call(address: str, seeds: Iterator[int], load: Load, is_over: asyncio.Event) -> None:
    async with client_of(address, load, _BUSY_SECONDS) as client:
        while not is_over.is_set():
            await run_job(client, next(seeds), load)
