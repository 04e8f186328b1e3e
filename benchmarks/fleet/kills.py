"""Servers that are killed as they run a job: the job goes on elsewhere, event for event, and no other job notices."""

from __future__ import annotations

import asyncio
import itertools
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.fleet.load import Load, client_of, fake_frames, frames_in, run_job
from benchmarks.fleet.machines import Fleet, fleet

_KILL_COUNT = 50
_OTHER_CALLERS = 3
_FIRST_OTHER_SEED = 1_000
_CALL_SECONDS = 0.03
_BUSY_SECONDS = 60.0
_SIZE = (32, 32, 9)
_OPTIONS: dict[str, Any] = {"preview_every_step_count": 2}


async def kills(folder: Path) -> dict[str, float]:
    """Kills servers after each of a job's events in turn, while others call, and returns what became of all jobs."""
    command = ("benchmarks.fleet.side", *map(str, (_CALL_SECONDS, *_SIZE)))
    others, victims, undisturbed = Load(), Load(), Load()
    async with fleet(folder, command) as running:
        is_over, seeds = asyncio.Event(), itertools.count(_FIRST_OTHER_SEED)
        callers = [asyncio.create_task(_call(running, seeds, others, is_over)) for _ in range(_OTHER_CALLERS)]
        moments, on_killed = await _kill_in_turn(running, victims, others)
        is_over.set()
        await asyncio.gather(*callers)
        begun_again = {seed for seed in (*victims.events, *others.events) if running.begun_count(seed) > 1}
        async with client_of(running.address, undisturbed) as client:
            for seed in victims.events:
                await run_job(client, seed, undisturbed, **_OPTIONS)
    if undisturbed.failures:
        raise SystemExit(f"an undisturbed job failed: {undisturbed.failures[0]}")
    return {
        "kills_count": len(moments),
        "kills_between_frames_count": moments.count("frame"),
        "kills_completed_count": victims.completed_count,
        "kills_identical_count": sum(victims.events[seed] == events for seed, events in undisturbed.events.items()),
        "kills_done_again_count": len(begun_again),
        "kills_refusal_count": len(victims.refusals),
        "kills_other_completed_count": others.completed_count,
        "kills_other_failed_count": len(others.failures),
        "kills_other_on_killed_server_count": len(on_killed),
        "kills_other_begun_again_count": len(begun_again & others.events.keys() - on_killed),
        "kills_other_wrong_frames_count": sum(
            fake_frames(seed, _SIZE) != frames_in(events) for seed, events in others.events.items()
        ),
    }


async def _kill_in_turn(running: Fleet, victims: Load, others: Load) -> tuple[list[str], set[int]]:
    """Returns the kind of the last event before each kill, and the other jobs that the killed servers had then."""
    moments: list[str] = []
    on_killed: set[int] = set()
    seen = Load()
    async with client_of(running.address, victims, _BUSY_SECONDS) as client:
        await run_job(client, 0, seen, **_OPTIONS)
        last = len(seen.events[0]) - 1
        for index in range(_KILL_COUNT):
            kill = _Kill(running, others, seed=index + 1, after_count=index % last + 1)
            await run_job(client, kill.seed, victims, on_event=kill, **_OPTIONS)
            await kill.is_undone()
            moments.append(kill.moment)
            on_killed |= kill.begun - victims.events.keys() - seen.events.keys()
    return moments, on_killed


class _Kill:
    """Kills the server of one job after some of its events, and starts that server again."""

    def __init__(self, running: Fleet, others: Load, seed: int, after_count: int) -> None:
        self.seed = seed
        self.moment = ""
        self.begun: set[int] = set()
        self._others = others
        self._running = running
        self._after_count = after_count
        self._starting: asyncio.Task[None] | None = None

    async def __call__(self, events: list[Any]) -> None:
        """Takes the events so far."""
        if len(events) == self._after_count and self._starting is None:
            machine = await self._running.server_of(self.seed)
            self.moment = events[-1][0]
            await machine.end(signal.SIGKILL)
            self.begun = set(machine.begun) - self._others.events.keys()
            self._starting = asyncio.create_task(machine.start())

    async def is_undone(self) -> None:
        """Waits until all servers are up again."""
        if self._starting is None:
            raise SystemExit(f"the job with seed {self.seed} ended before its server was killed")
        await self._starting
        for machine in self._running.machines:
            await self._running.is_up(machine)


async def _call(running: Fleet, seeds: Iterator[int], load: Load, is_over: asyncio.Event) -> None:
    async with client_of(running.address, load, _BUSY_SECONDS) as client:
        while not is_over.is_set():
            await run_job(client, next(seeds), load, **_OPTIONS)
