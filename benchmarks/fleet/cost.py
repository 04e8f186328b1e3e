"""The cost of HAProxy: the same clip of one server through HAProxy and direct, in pairs that take turns."""

from __future__ import annotations

import statistics
from pathlib import Path

from benchmarks.fleet.machines import fleet
from benchmarks.fleet.takes import STRAIGHT, THROUGH, pairs

SIZES = ((416, 240), (832, 480))
_FRAME_COUNT = 81
_RAW_PAIRS, _JOB_PAIRS = 30, 5
# 27 calls: text, picture, 4 steps, 21 decodes.
_JOB_CALL_SECONDS = 0.1


async def cost(folder: Path) -> dict[str, float]:
    """Returns medians over pairs: seconds through HAProxy / direct of jobs, frames a second likewise of raw frames."""
    figures: dict[str, float] = {"cost_frame_count": _FRAME_COUNT}
    for width_px, height_px in SIZES:
        name = f"{width_px}x{height_px}"
        for kind, call_seconds, count in (("job", _JOB_CALL_SECONDS, _JOB_PAIRS), ("raw", 0.0, _RAW_PAIRS)):
            command = ("benchmarks.fleet.side", *map(str, (call_seconds, width_px, height_px, _FRAME_COUNT)))
            async with fleet(folder / f"{name}-{kind}", command, count=1) as running:
                before = running.proxy_seconds()
                size = (width_px, height_px, _FRAME_COUNT)
                taken = await pairs(running.address, running.machines[0].address, count, size)
                proxy_seconds = running.proxy_seconds() - before
            proxied, direct = (statistics.median(pair[way] for pair in taken) for way in (THROUGH, STRAIGHT))
            ratio = statistics.median(pair[THROUGH] / pair[STRAIGHT] for pair in taken)
            if kind == "job":
                figures |= {f"job_{name}_ratio": ratio, f"job_{name}_direct_seconds": direct}
            else:
                figures |= {
                    f"raw_{name}_ratio": 1 / ratio,
                    f"raw_{name}_proxy_processor_seconds_per_gigabyte": proxy_seconds
                    / ((count + 1) * _FRAME_COUNT * width_px * height_px * 3 / 1e9),
                    f"raw_{name}_proxied_frames_per_second": _FRAME_COUNT / proxied,
                    f"raw_{name}_direct_frames_per_second": _FRAME_COUNT / direct,
                }
    return figures
