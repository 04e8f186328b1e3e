"""A job on the fake engine whose clip is larger than what a connection takes up: 81 raw frames of 2.6 MiB."""

from __future__ import annotations

import asyncio
import dataclasses
from threading import Semaphore
from typing import Any

from engine.api.capabilities import Geometry
from engine.testing.fake_engine import FAKE_CAPABILITIES, FakeEngine
from stillcue.v1 import generate_pb2, media_pb2
from tests.serving import Served, generate_request

LARGE = dataclasses.replace(FAKE_CAPABILITIES, geometries=(Geometry(32, 32, 9), Geometry(1280, 704, 81)))
LARGE_GRAPH_CALL_COUNT = 7 + 21


def large_request(**stream: Any) -> generate_pb2.GenerateRequest:
    """81 raw frames of 2.6 MiB."""
    return generate_request(
        video=generate_pb2.VideoSpec(width_px=1280, height_px=704, frame_count=81),
        stream=generate_pb2.StreamSpec(frame_encoding=media_pb2.FRAME_ENCODING_RAW_RGB, **stream),
    )


async def release_one_by_one(server: Served, engine: FakeEngine, gate: Semaphore) -> None:
    """Gives the engine one permit after the other until its job has stopped."""
    while not await server.sample("stillcue_cancel_latency_seconds_count"):
        call_count = len(engine.graph_calls)
        assert call_count < LARGE_GRAPH_CALL_COUNT, "the job was never stopped"
        gate.release(1)
        async with asyncio.timeout(20):
            while len(engine.graph_calls) == call_count:
                if await server.sample("stillcue_cancel_latency_seconds_count"):
                    return
