"""Two replicas of Ray Serve beside two servers behind HAProxy and one server alone, all with the same fake engine.

    python -m benchmarks.ray_fleet --json FILE [--jobs 100,300] [--kills 10] [--repeats 9]

Needs Ray (``make ray``) and HAProxy. Callers, clips and the HAProxy side are those of ``benchmarks.fleet``.

* ``*_balance_N``: N jobs of 0.45 s from 20 callers; the makespan of two servers that are never idle / the real
  one. ``alone_balance``: the same of one server with two callers, which is what the engine's own overhead leaves.
  ``*_refusals_N`` counts refused calls.
* ``ray_kill_*``: a replica is killed in the midst of its job. Clips that differ from the undisturbed one, jobs of the
  other replica that noticed, time from the kill to the first frame that was not there yet, time until the next replica
  is open.
* ``*_clip_WxH_ratio``: end to end time of a clip of 81 raw frames with 50 ms a graph call, through the fleet / direct.
* ``*_raw_WxH_ratio``: frames a second of 81 raw frames that cost the engine nothing, through the fleet / direct.
  Ratios are medians over pairs whose ways take turns.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import tempfile
from pathlib import Path

from benchmarks.fleet.load import fake_frames, frames_in, run_load
from benchmarks.fleet.machines import Machine, fleet, free_ports
from benchmarks.fleet.takes import STRAIGHT, THROUGH, pairs
from benchmarks.ray_fleet_kills import kills
from benchmarks.report import Report
from tests.ray.fleet import RayFleet, ray_fleet

REPLICA_COUNT, WAITING_LIMIT, CALLER_COUNT = 2, 32, 20
SIZES = ((480, 480, 81), (832, 480, 81))
_SERVER = ("tests.ray.plain_server", "--engine", "fake")
_SHORT = (32, 32, 9)
_CALL_SECONDS = 0.05
# Of a short clip without a match: text, picture, the steps, three of the decode.
_CALL_COUNT = 9
_PROMPT, _RAW_PROMPT = f"a red fox call={_CALL_SECONDS}", "a red fox call=0"
_BALANCE_FLOOR, _CLIP_TARGET, _RAW_FLOOR = 0.95, 1.05, 0.8
# Short takes, so there are more of them.
_RAW_FACTOR = 3
_ALONE_JOB_COUNT = 50


def main() -> None:
    """Measures all sides, prints the figures and writes them."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ray_fleet")
    parser.add_argument("--json", type=Path, required=True, help="file for the figures")
    parser.add_argument("--jobs", default="100,300", help="numbers of jobs of the balance (%(default)s)")
    parser.add_argument("--kills", type=int, default=10, help="replicas to kill (%(default)s)")
    parser.add_argument("--repeats", type=int, default=9, help="counted takes of each side (%(default)s)")
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as folder,
        ray_fleet(
            options={"num_replicas": REPLICA_COUNT}, args={"waiting_limit": WAITING_LIMIT}, STILLCUE_LOG_LEVEL="error"
        ) as on_ray,
    ):
        figures = asyncio.run(_measure(on_ray, Path(folder), options))
    report = Report(
        "ray_fleet",
        figures,
        targets={name: _target(name) for name in figures if "clip" in name or "wrong" in name},
        floors={name: _BALANCE_FLOOR if "balance" in name else _RAW_FLOOR for name in figures if _has_floor(name)},
    )
    report.show()
    report.write(options.json)


async def _measure(on_ray: RayFleet, folder: Path, options: argparse.Namespace) -> dict[str, float]:
    figures: dict[str, float] = {}
    alone = Machine("alone", free_ports(1)[0], _SERVER)
    async with fleet(folder, _SERVER, f"--queue-jobs={WAITING_LIMIT}", count=REPLICA_COUNT) as behind_haproxy:
        await alone.start()
        try:
            sides = {"ray": on_ray.address, "haproxy": behind_haproxy.address}
            figures |= await _costs(sides, alone.address, options.repeats)
            figures["alone_balance"] = (await _balance(alone.address, _ALONE_JOB_COUNT, 2, server_count=1))[0]
            for job_count in map(int, options.jobs.split(",")):
                for side, address in sides.items():
                    found = await _balance(address, job_count, CALLER_COUNT, server_count=REPLICA_COUNT)
                    names = ("balance", "refusals", "wrong_clips")
                    figures |= {f"{side}_{name}_{job_count}": value for name, value in zip(names, found, strict=True)}
        finally:
            await alone.end()
    if options.kills:
        killed = await kills(on_ray, count=options.kills, size=_SHORT, prompt=_PROMPT)
        figures |= {
            "ray_kill_count": options.kills,
            "ray_kill_wrong_clips": killed.wrong_count,
            "ray_kill_others_disturbed": killed.disturbed_count,
            "ray_kill_gap_seconds": statistics.median(killed.gap_seconds),
            "ray_kill_gap_largest_seconds": max(killed.gap_seconds),
            "ray_kill_replaced_seconds": statistics.median(killed.back_seconds),
        }
    return figures


async def _balance(address: str, job_count: int, caller_count: int, *, server_count: int) -> tuple[float, int, int]:
    """Ideal makespan / real, refused calls, clips with wrong frames."""
    load = await run_load(address, job_count, caller_count, prompt=_PROMPT)
    ideal_seconds = job_count * _CALL_COUNT * _CALL_SECONDS / server_count
    wrong = sum(fake_frames(seed, _SHORT, _PROMPT) != frames_in(events) for seed, events in load.events.items())
    return ideal_seconds / load.seconds, len(load.failures), wrong


async def _costs(sides: dict[str, str], alone: str, repeats: int) -> dict[str, float]:
    """Medians over pairs: time of a clip through each side / direct, rate of raw frames likewise."""
    figures: dict[str, float] = {}
    for size in SIZES:
        name = f"{size[0]}x{size[1]}"
        for side, address in sides.items():
            clips = await pairs(address, alone, repeats, size, _PROMPT)
            figures[f"{side}_clip_{name}_ratio"] = statistics.median(pair[THROUGH] / pair[STRAIGHT] for pair in clips)
        for side, address in sides.items():
            raw = await pairs(address, alone, repeats * _RAW_FACTOR, size, _RAW_PROMPT)
            figures[f"{side}_raw_{name}_ratio"] = statistics.median(pair[STRAIGHT] / pair[THROUGH] for pair in raw)
    return figures


def _target(name: str) -> float:
    return 0.0 if "wrong" in name else _CLIP_TARGET


def _has_floor(name: str) -> bool:
    return "balance" in name or "_raw_" in name


if __name__ == "__main__":
    main()
