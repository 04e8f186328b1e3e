"""Jobs that are sent to a fleet at given times, and when each was accepted and ended."""

from __future__ import annotations

import asyncio
import io
import time
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING

import grpc.aio
from PIL import Image

from stillcue.v1 import generate_pb2, media_pb2, service_pb2_grpc

if TYPE_CHECKING:
    from stillcue.v1.service_pb2_grpc import StillcueServiceAsyncStub

WIDTH_PX, HEIGHT_PX, FRAME_COUNT = 32, 32, 9
# The fake engine's graph calls beside the steps: match, text, picture, and the decode of 9 frames.
FIXED_CALL_COUNT = 6


@dataclass(frozen=True)
class Timed:
    """A job in seconds of one clock; ``accepted_at`` None: refused."""

    sent_at: float
    accepted_at: float | None
    ended_at: float


async def send(channel: grpc.aio.Channel, arrivals: list[float], step_counts: list[int]) -> list[Timed]:
    """Sends each job at its time in seconds from now; returns when all have ended."""
    # The generated class serves both kinds of channels; its type knows the other one.
    stub: StillcueServiceAsyncStub = service_pb2_grpc.StillcueServiceStub(channel)  # type: ignore[assignment]
    began_at, image = time.perf_counter(), _picture()
    jobs = (_job(stub, image, began_at + at, steps) for at, steps in zip(arrivals, step_counts, strict=True))
    return list(await asyncio.gather(*jobs))


async def _job(stub: StillcueServiceAsyncStub, image: bytes, sent_at: float, step_count: int) -> Timed:
    request = generate_pb2.GenerateRequest(
        request_id=str(uuid.uuid4()),
        image=media_pb2.Image(data=image),
        prompt="a red fox turns its head",
        video=generate_pb2.VideoSpec(width_px=WIDTH_PX, height_px=HEIGHT_PX, frame_count=FRAME_COUNT),
        sampling=generate_pb2.SamplingSpec(step_count=step_count, seed=7),
        stream=generate_pb2.StreamSpec(frame_encoding=media_pb2.FRAME_ENCODING_RAW_RGB),
    )
    await asyncio.sleep(sent_at - time.perf_counter())
    sent_at = time.perf_counter()
    accepted_at: float | None = None
    try:
        async for _ in stub.Generate(request):
            accepted_at = accepted_at or time.perf_counter()
    except grpc.aio.AioRpcError as error:
        if accepted_at is not None or error.code() is not grpc.StatusCode.UNAVAILABLE:
            raise
    return Timed(sent_at, accepted_at, time.perf_counter())


def _picture() -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (WIDTH_PX, HEIGHT_PX), "grey").save(buffer, "PNG")
    return buffer.getvalue()
