"""The cost of HAProxy: the same clip of one server through HAProxy and direct, in pairs that take turns."""

from __future__ import annotations

import statistics
import time
from pathlib import Path
from typing import Any

import grpc.aio

from benchmarks.fleet.load import PICTURE, PROMPT
from benchmarks.fleet.machines import fleet
from stillcue.proxies import DIRECT
from stillcue.v1 import generate_pb2, match_pb2, media_pb2

SIZES = ((416, 240), (832, 480))
_FRAME_COUNT = 81
_RAW_PAIRS, _JOB_PAIRS = 30, 5
# 27 calls: text, picture, 4 steps, 21 decodes.
_JOB_CALL_SECONDS = 0.1
_GENERATE = "/stillcue.v1.StillcueService/Generate"
_OPTIONS = [*DIRECT, ("grpc.max_receive_message_length", 16 * 2**20)]


async def cost(folder: Path) -> dict[str, float]:
    """Returns medians over pairs: seconds through HAProxy / direct of jobs, frames a second likewise of raw frames."""
    figures: dict[str, float] = {"cost_frame_count": _FRAME_COUNT}
    for width_px, height_px in SIZES:
        name = f"{width_px}x{height_px}"
        for kind, call_seconds, count in (("job", _JOB_CALL_SECONDS, _JOB_PAIRS), ("raw", 0.0, _RAW_PAIRS)):
            command = ("benchmarks.fleet.side", *map(str, (call_seconds, width_px, height_px, _FRAME_COUNT)))
            async with fleet(folder / f"{name}-{kind}", command, count=1) as running:
                ways = {"proxied": running.address, "direct": running.machines[0].address}
                before = running.proxy_seconds()
                pairs = await _pairs(ways, count, width_px * height_px * 3)
                proxy_seconds = running.proxy_seconds() - before
            proxied, direct = (statistics.median(pair[way] for pair in pairs) for way in ways)
            ratio = statistics.median(pair["proxied"] / pair["direct"] for pair in pairs)
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


async def _pairs(ways: dict[str, str], count: int, frame_bytes: int) -> list[dict[str, float]]:
    """Seconds of each way, pair by pair; the ways alternate in going first, and the first pair is not counted."""
    channels = {way: grpc.aio.insecure_channel(address, options=_OPTIONS) for way, address in ways.items()}
    try:
        return [
            {way: await _take(channels[way], frame_bytes) for way in sorted(ways, reverse=index % 2 > 0)}
            for index in range(count + 1)
        ][1:]
    finally:
        for channel in channels.values():
            await channel.close(None)


async def _take(channel: Any, frame_bytes: int) -> float:
    """Reads one clip and returns the seconds from the call to its end."""
    request = generate_pb2.GenerateRequest(
        image=media_pb2.Image(data=PICTURE),
        prompt=PROMPT,
        match=match_pb2.MatchPolicy(mode=match_pb2.MATCH_MODE_OFF),
        stream=generate_pb2.StreamSpec(frame_encoding=media_pb2.FRAME_ENCODING_RAW_RGB),
    )
    call = channel.unary_stream(_GENERATE, request_serializer=generate_pb2.GenerateRequest.SerializeToString)
    await channel.channel_ready()
    started = time.perf_counter()
    sizes = [len(message) async for message in call(request)]
    seconds = time.perf_counter() - started
    if sum(size > frame_bytes for size in sizes) != _FRAME_COUNT:
        raise SystemExit(f"not all {_FRAME_COUNT} frames arrived")
    return seconds
