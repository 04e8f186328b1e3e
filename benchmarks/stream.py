"""Throughput of streaming frames over loopback, compared with a bare grpc.aio loop that yields the same messages.

    python -m benchmarks.stream --json FILE [--repeats 9]

81 frames of 832x480 as raw RGB, PNG, JPEG and WebP. The server's engine has every frame ready; the bare loop yields
messages built in advance. Both sides are processes of their own, read by the same client, which does not parse the
messages. The sides take turns and alternate in going first; every ratio is the median over pairs, server / bare. The
first take of each side is not counted. The frames of every take are counted and their sizes compared.

The server compresses frames and the loop does not, so only ``raw_ratio`` compares the same work; the other ratios show
the cost of compression on this machine. ``*_encoder_ratio`` is relative to the encoder alone on one thread.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc.aio
import psutil

from benchmarks.processes import first_line, spawn
from benchmarks.report import Report
from benchmarks.stream_side import ENCODINGS, FRAME_COUNT, HEIGHT_PX, WIDTH_PX, frames
from engine import encode_frame
from engine.api.media import FrameEncoding
from stillcue.proxies import DIRECT
from stillcue.v1 import generate_pb2, match_pb2, media_pb2

RAW_RATIO_TARGET = 0.8
_RAW_FACTOR = 4  # raw takes are short, so there are more of them
_GENERATE = "/stillcue.v1.StillcueService/Generate"
_OPTIONS = [*DIRECT, ("grpc.max_receive_message_length", 16 * 2**20)]


def main() -> None:
    """Measures all encodings, prints the figures and writes them."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.stream")
    parser.add_argument("--json", type=Path, required=True, help="file for the figures")
    parser.add_argument(
        "--repeats", type=int, default=9, help="counted takes of each side; four times as many for raw frames"
    )
    options = parser.parse_args()
    sides = {name: spawn("benchmarks.stream_side", name) for name in ("stillcue", "bare")}
    try:
        ports = {name: int(first_line(process)) for name, process in sides.items()}
        processes = {name: psutil.Process(process.pid) for name, process in sides.items()}
        figures = asyncio.run(_measure(ports, processes, options.repeats))
    finally:
        for process in sides.values():
            process.communicate()
    report = Report("stream", figures, floors={"raw_ratio": RAW_RATIO_TARGET})
    report.show()
    report.write(options.json)


@dataclass(frozen=True)
class _Take:
    seconds: float
    processor_seconds: float
    frame_bytes: int


async def _measure(ports: dict[str, int], processes: dict[str, psutil.Process], repeat_count: int) -> dict[str, float]:
    figures: dict[str, float] = {}
    for name, (wire, encoding) in ENCODINGS.items():
        count = repeat_count * (_RAW_FACTOR if name == "raw" else 1)
        ours, bare = [], []
        for repeat in range(count + 1):
            taken = {
                side: await _take(ports[side], processes[side], wire) for side in sorted(ports, reverse=repeat % 2 > 0)
            }
            ours.append(taken["stillcue"])
            bare.append(taken["bare"])
        ours, bare = ours[1:], bare[1:]
        if len({take.frame_bytes for take in (*ours, *bare)}) > 1:
            raise SystemExit(f"server and loop sent different bytes of {name} frames: their times do not compare")
        seconds = statistics.median(take.seconds for take in ours)
        figures[f"{name}_ratio"] = statistics.median(b.seconds / a.seconds for a, b in zip(ours, bare, strict=True))
        figures[f"{name}_frames_per_second"] = FRAME_COUNT / seconds
        figures[f"{name}_megabytes_per_second"] = ours[0].frame_bytes / 1e6 / seconds
        figures[f"{name}_frame_bytes"] = ours[0].frame_bytes / FRAME_COUNT
        figures[f"bare_{name}_frames_per_second"] = FRAME_COUNT / statistics.median(take.seconds for take in bare)
        if name == "raw":
            figures["raw_processor_ratio"] = _processor_seconds(bare) / _processor_seconds(ours)
        else:
            figures[f"{name}_encoder_ratio"] = _encoder_seconds(encoding) / seconds
    return {
        **figures,
        "width_px": WIDTH_PX,
        "height_px": HEIGHT_PX,
        "frame_count": FRAME_COUNT,
        "repeat_count": repeat_count,
    }


def _processor_seconds(takes: list[_Take]) -> float:
    return sum(take.processor_seconds for take in takes)


async def _take(port: int, process: psutil.Process, wire: media_pb2.FrameEncoding) -> _Take:
    """Reads one clip and measures it from the call to its end."""
    request = generate_pb2.GenerateRequest(
        image=media_pb2.Image(data=_PICTURE),
        prompt="a boat on the waves",
        match=match_pb2.MatchPolicy(mode=match_pb2.MATCH_MODE_OFF),
        stream=generate_pb2.StreamSpec(frame_encoding=wire),
    )
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}", options=_OPTIONS) as channel:
        anything: Any = channel
        call = anything.unary_stream(_GENERATE, request_serializer=generate_pb2.GenerateRequest.SerializeToString)
        await channel.channel_ready()
        before = process.cpu_times()
        started = time.perf_counter()
        messages = [message async for message in call(request)]
        seconds = time.perf_counter() - started
        after = process.cpu_times()
    events = map(generate_pb2.GenerateResponse.FromString, messages)
    sizes = [len(event.frame.data) for event in events if event.HasField("frame")]
    if len(sizes) != FRAME_COUNT:
        raise SystemExit(f"only {len(sizes)} of {FRAME_COUNT} frames arrived")
    return _Take(seconds, after.user + after.system - before.user - before.system, sum(sizes))


def _encoder_seconds(encoding: FrameEncoding) -> float:
    """Returns the seconds that encoding the frames of a clip takes on one thread."""
    made = frames()
    started = time.perf_counter()
    for index in range(FRAME_COUNT):
        encode_frame(made[index % len(made)], encoding)
    return time.perf_counter() - started


_PICTURE = bytes(encode_frame(frames()[0], FrameEncoding.PNG))

if __name__ == "__main__":
    main()
