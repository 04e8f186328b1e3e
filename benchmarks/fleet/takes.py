"""Times of single clips over a channel, in pairs: through a fleet, and direct."""

from __future__ import annotations

import time
from typing import Any

import grpc.aio

from benchmarks.fleet.load import PICTURE, PROMPT
from stillcue.proxies import DIRECT
from stillcue.v1 import generate_pb2, match_pb2, media_pb2

THROUGH, STRAIGHT = "through", "straight"
_GENERATE = "/stillcue.v1.StillcueService/Generate"
_OPTIONS = [*DIRECT, ("grpc.max_receive_message_length", 16 * 2**20), ("grpc.use_local_subchannel_pool", 1)]


async def pairs(
    through: str, straight: str, count: int, size: tuple[int, int, int], prompt: str = PROMPT
) -> list[dict[str, float]]:
    """Seconds of a clip through the address of a fleet and of one server, pair by pair.

    ``size`` is width, height and frames. The ways alternate in going first; the first pair is not counted.
    """
    ways = {THROUGH: through, STRAIGHT: straight}
    channels = {way: grpc.aio.insecure_channel(address, options=_OPTIONS) for way, address in ways.items()}
    try:
        return [
            {way: await _take(channels[way], size, prompt) for way in sorted(ways, reverse=index % 2 > 0)}
            for index in range(count + 1)
        ][1:]
    finally:
        for channel in channels.values():
            await channel.close(None)


async def _take(channel: Any, size: tuple[int, int, int], prompt: str) -> float:
    """Reads one clip of raw frames and returns the seconds from the call to its end."""
    width_px, height_px, frame_count = size
    request = generate_pb2.GenerateRequest(
        image=media_pb2.Image(data=PICTURE),
        prompt=prompt,
        video=generate_pb2.VideoSpec(width_px=width_px, height_px=height_px, frame_count=frame_count),
        match=match_pb2.MatchPolicy(mode=match_pb2.MATCH_MODE_OFF),
        stream=generate_pb2.StreamSpec(frame_encoding=media_pb2.FRAME_ENCODING_RAW_RGB),
    )
    call = channel.unary_stream(_GENERATE, request_serializer=generate_pb2.GenerateRequest.SerializeToString)
    await channel.channel_ready()
    started = time.perf_counter()
    sizes = [len(message) async for message in call(request)]
    seconds = time.perf_counter() - started
    if sum(byte_count > width_px * height_px * 3 for byte_count in sizes) != frame_count:
        raise SystemExit(f"not all {frame_count} frames arrived")
    return seconds
