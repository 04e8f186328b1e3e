"""Balance of a fleet: no server idles while work waits, and no job is refused while there is room."""

from __future__ import annotations

import math
from pathlib import Path

from benchmarks.fleet.load import Load, run_load
from benchmarks.fleet.machines import ROOT, fleet

SERVER_COUNT = 3
CALLER_COUNT = 20
JOB_COUNTS = (100, 300)
_CALL_SECONDS = 0.1
# Text, picture, 4 steps and 3 decodes of 9 frames.
_JOB_SECONDS = 9 * _CALL_SECONDS
_FULL_QUEUE, _CROWD = 8, 40
_POCKET_BUNDLE = ROOT / "pocket" / "model"
_POCKET_STEPS = 2


async def balance(folder: Path) -> dict[str, float]:
    """Returns ratios, ideal / measured: of the time of all jobs on the fake engine, of the busy time on pocket."""
    figures = await _fake(folder / "fake")
    figures |= await _overfill(folder / "full")
    return figures | await _pocket(folder / "pocket")


async def _fake(folder: Path) -> dict[str, float]:
    figures: dict[str, float] = {"fake_job_seconds": _JOB_SECONDS}
    async with fleet(
        folder, ("benchmarks.fleet.side", str(_CALL_SECONDS), "32", "32", "9"), "--queue-jobs=30"
    ) as running:
        for job_count in JOB_COUNTS:
            load = await run_load(running.address, job_count, CALLER_COUNT)
            _check(load, job_count)
            ideal_seconds = math.ceil(job_count / SERVER_COUNT) * _JOB_SECONDS
            figures[f"fake_{job_count}_jobs_seconds"] = load.seconds
            figures[f"fake_{job_count}_jobs_ratio"] = ideal_seconds / load.seconds
            figures[f"fake_{job_count}_jobs_refusal_count"] = len(load.refusals)
    return figures


async def _pocket(folder: Path) -> dict[str, float]:
    """The servers share this machine's processors, so busy time counts: work of all jobs / (servers x time)."""
    figures: dict[str, float] = {"pocket_step_count": _POCKET_STEPS}
    command = ("server", "--bundle", str(_POCKET_BUNDLE), "--engine-thread-count", "1", "--video-encoders", "none")
    async with fleet(folder, command, "--queue-jobs=30") as running:
        await run_load(running.address, SERVER_COUNT, SERVER_COUNT, step_count=_POCKET_STEPS)  # loads graphs
        for job_count in JOB_COUNTS:
            load = await run_load(running.address, job_count, CALLER_COUNT, step_count=_POCKET_STEPS)
            _check(load, job_count)
            figures[f"pocket_{job_count}_jobs_seconds"] = load.seconds
            figures[f"pocket_{job_count}_jobs_busy_ratio"] = load.work_seconds / (SERVER_COUNT * load.seconds)
            figures[f"pocket_{job_count}_jobs_refusal_count"] = len(load.refusals)
    return figures


async def _overfill(folder: Path) -> dict[str, float]:
    """As many jobs at once as overfill servers and queue: those that fit are completed, all others are refused."""
    command = ("benchmarks.fleet.side", str(_CALL_SECONDS), "32", "32", "9")
    async with fleet(folder, command, f"--queue-jobs={_FULL_QUEUE}") as running:
        load = await run_load(running.address, _CROWD, _CROWD)
    reasons = {error.reason for error in load.failures}
    if reasons != {"NO_REPLICA_FREE"}:
        raise SystemExit(f"calls failed for other reasons than a full fleet: {reasons}")
    return {
        "crowd_job_count": _CROWD,
        "crowd_room_count": SERVER_COUNT + _FULL_QUEUE,
        "crowd_completed_count": load.completed_count,
        "crowd_refused_count": len(load.failures),
    }


def _check(load: Load, job_count: int) -> None:
    if load.failures:
        raise SystemExit(f"{len(load.failures)} of {job_count} jobs failed, the first with: {load.failures[0]}")
