"""Two replicas of Ray Serve beside two servers behind HAProxy and one server alone, all with the same fake engine.

    python -m benchmarks.ray_fleet --json FILE [--jobs 100,300] [--kills 10] [--repeats 9] [--without-haproxy]

Needs Ray (``make ray``) and HAProxy.

* ``*_balance_N``: N jobs of 0.5 s from 20 callers; the makespan of two servers that are never idle, divided by the real
  one. ``alone_balance``: the same of one server with two callers, which is what the engine's own overhead leaves.
  ``*_refusals_N`` counts refused calls.
* ``ray_kill_*``: a replica is killed in the midst of its job. Clips that differ from the undisturbed one, jobs of the
  other replica that noticed, time from the kill to the first frame that was not there yet, time until the next replica
  is open.
* ``*_clip_WxH_ratio``: end to end time of a clip of 81 frames with 50 ms a graph call, through the fleet / direct.
* ``*_raw_WxH_ratio``: frames a second of 81 raw frames that cost the engine nothing, through the fleet / direct.
  Sides take turns; ratios are medians over pairs. The first take of each side is not counted.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
from contextlib import ExitStack
from pathlib import Path

from benchmarks.ray_fleet_load import SHORT_CLIP_CALL_COUNT, balance, channel_to, clip_seconds, kills
from benchmarks.ray_fleet_sides import REPLICA_COUNT, behind_haproxy, direct, on_ray
from benchmarks.report import Report
from stillcue.v1 import media_pb2
from tests.ray.fleet import RayFleet

CALLER_COUNT = 20
CALL_SECONDS = 0.05
SIZES = ((480, 480, 81), (832, 480, 81))
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
    parser.add_argument("--without-haproxy", action="store_true", help="leave HAProxy out")
    options = parser.parse_args()
    with ExitStack() as stack:
        fleet = stack.enter_context(on_ray())
        addresses = {"ray": fleet.address}
        if not options.without_haproxy:
            addresses["haproxy"] = stack.enter_context(behind_haproxy())
        alone = stack.enter_context(direct())
        figures = asyncio.run(_measure(fleet, addresses, alone, options))
    report = Report(
        "ray_fleet",
        figures,
        targets={name: _target(name) for name in figures if "clip" in name or "wrong" in name},
        floors={name: _BALANCE_FLOOR if "balance" in name else _RAW_FLOOR for name in figures if _has_floor(name)},
    )
    report.show()
    report.write(options.json)


async def _measure(
    fleet: RayFleet, addresses: dict[str, str], alone: str, options: argparse.Namespace
) -> dict[str, float]:
    figures: dict[str, float] = {}
    for size in SIZES:
        name = f"{size[0]}x{size[1]}"
        for side, ratio in (await _ratios(addresses, alone, size, CALL_SECONDS, options.repeats)).items():
            figures[f"{side}_clip_{name}_ratio"] = ratio
        for side, ratio in (await _ratios(addresses, alone, size, 0.0, options.repeats * _RAW_FACTOR)).items():
            figures[f"{side}_raw_{name}_ratio"] = 1 / ratio
    run = await balance(alone, job_count=_ALONE_JOB_COUNT, caller_count=2, call_seconds=CALL_SECONDS)
    figures["alone_balance"] = _ALONE_JOB_COUNT * SHORT_CLIP_CALL_COUNT * CALL_SECONDS / run.seconds
    for job_count in map(int, options.jobs.split(",")):
        ideal_seconds = job_count * SHORT_CLIP_CALL_COUNT * CALL_SECONDS / REPLICA_COUNT
        for side, address in addresses.items():
            run = await balance(address, job_count=job_count, caller_count=CALLER_COUNT, call_seconds=CALL_SECONDS)
            figures[f"{side}_balance_{job_count}"] = ideal_seconds / run.seconds
            figures[f"{side}_refusals_{job_count}"] = run.refusal_count
            figures[f"{side}_wrong_clips_{job_count}"] = run.wrong_count
    if options.kills:
        killed = await kills(fleet, kill_count=options.kills, call_seconds=CALL_SECONDS)
        figures |= {
            "ray_kill_count": options.kills,
            "ray_kill_wrong_clips": killed.wrong_count,
            "ray_kill_others_disturbed": killed.disturbed_count,
            "ray_kill_gap_seconds": statistics.median(killed.gap_seconds),
            "ray_kill_gap_largest_seconds": max(killed.gap_seconds),
            "ray_kill_replaced_seconds": statistics.median(killed.back_seconds),
        }
    return figures


async def _ratios(
    addresses: dict[str, str], alone: str, size: tuple[int, int, int], call_seconds: float, repeats: int
) -> dict[str, float]:
    """Median over pairs of the time of a clip through each side / direct."""
    encoding = media_pb2.FRAME_ENCODING_PNG if call_seconds else media_pb2.FRAME_ENCODING_RAW_RGB
    ratios: dict[str, list[float]] = {side: [] for side in addresses}
    for side, address in addresses.items():
        async with channel_to(address) as through, channel_to(alone) as straight:
            for take in range(repeats + 1):
                pair = [through, straight] if take % 2 else [straight, through]
                seconds = [
                    await clip_seconds(channel, size, call_seconds=call_seconds, encoding=encoding) for channel in pair
                ]
                if take:
                    first, second = seconds
                    ratios[side].append(first / second if take % 2 else second / first)
    return {side: statistics.median(found) for side, found in ratios.items()}


def _target(name: str) -> float:
    return 0.0 if "wrong" in name else _CLIP_TARGET


def _has_floor(name: str) -> bool:
    return "balance" in name or "_raw_" in name


if __name__ == "__main__":
    main()
