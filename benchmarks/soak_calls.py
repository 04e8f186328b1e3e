"""The callers of ``benchmarks.soak``: each makes one call in one way and returns how the call ended."""

from __future__ import annotations

import asyncio
import io
import random
import uuid
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import grpc
import grpc.aio
from google.protobuf.duration_pb2 import Duration
from PIL import Image

from benchmarks.soak_side import LARGE, SMALL
from engine.api.capabilities import Geometry
from stillcue.proxies import DIRECT
from stillcue.v1 import generate_pb2, media_pb2, service_pb2_grpc

_PROMPT = "a red fox turns its head"
# A small flow-control window, so that the server notices after a few frames that a reader has stopped.
_OPTIONS = [
    *DIRECT,
    ("grpc.http2.lookahead_bytes", 65_535),
    ("grpc.http2.bdp_probe", 0),
    ("grpc.use_local_subchannel_pool", 1),
]
_STALL_SECONDS = 0.02
_HANG_SECONDS = 60.0
_Part = Callable[[random.Random, grpc.aio.Channel], Coroutine[Any, Any, str]]


@asynccontextmanager
async def channel_to(target: str) -> AsyncIterator[grpc.aio.Channel]:
    """Opens a channel with a connection of its own."""
    async with grpc.aio.insecure_channel(target, options=_OPTIONS) as channel:
        yield channel


async def play(draw: random.Random, shared: grpc.aio.Channel, target: str) -> str:
    """Makes one call with a behaviour drawn at random; returns how the call ended, in one word."""
    (part,) = draw.choices(list(_PARTS), list(_PARTS.values()))
    if part is _disconnect:
        async with channel_to(target) as own:
            return await _disconnect(draw, own)
    return await part(draw, shared)


async def _read_all(draw: random.Random, channel: grpc.aio.Channel) -> str:
    """Reads the whole clip and compares every frame with the fake engine's known output."""
    seed = draw.randrange(256)
    frames = []
    try:
        async for message in _call(channel, SMALL, seed=seed):
            if message.HasField("frame"):
                frames.append(message.frame.data)  # noqa: PERF401  an error may interrupt the loop
    except grpc.aio.AioRpcError as error:
        return _end_of(error)
    colours = [((seed + index) % 256, index, len(_PROMPT)) for index in range(SMALL.frame_count)]
    pixel_count = SMALL.width_px * SMALL.height_px
    return "complete" if frames == [bytes(colour) * pixel_count for colour in colours] else "wrong frames"


async def _read_video(draw: random.Random, channel: grpc.aio.Channel) -> str:
    """Reads the chunks of a video file, all or some."""
    wanted = draw.choice((1, 3))
    frame_count = chunk_count = 0
    call = _call(channel, SMALL, has_video=True)
    try:
        async for message in call:
            if message.HasField("video_chunk"):
                frame_count += message.video_chunk.frame_count
                chunk_count += 1
            if chunk_count == wanted == 1:
                call.cancel()
                return "cancelled"
    except grpc.aio.AioRpcError as error:
        return _end_of(error)
    return "complete" if frame_count == SMALL.frame_count else "wrong frames"


async def _cancel(draw: random.Random, channel: grpc.aio.Channel) -> str:
    call = _call(channel, SMALL)
    try:
        for _ in range(draw.randrange(12)):
            await anext(aiter(call))
    except grpc.aio.AioRpcError as error:
        return _end_of(error)
    call.cancel()
    return "cancelled"


async def _disconnect(draw: random.Random, channel: grpc.aio.Channel) -> str:
    call = _call(channel, SMALL)
    try:
        for _ in range(draw.randrange(1, 12)):
            await anext(aiter(call))
    except grpc.aio.AioRpcError as error:
        return _end_of(error)
    await channel.close(None)
    return "disconnected"


async def _run_out_of_time(draw: random.Random, channel: grpc.aio.Channel) -> str:
    try:
        async for _ in _call(channel, SMALL, timeout=draw.uniform(0.001, 0.06)):
            pass
    except grpc.aio.AioRpcError as error:
        return error.code().name
    return "complete"


async def _stall(draw: random.Random, channel: grpc.aio.Channel) -> str:
    call = _call(channel, LARGE, stall=Duration(nanos=round(_STALL_SECONDS * 1e9)))
    try:
        await anext(aiter(call))
        await asyncio.sleep(draw.uniform(2, 5) * _STALL_SECONDS)
        async for _ in call:
            pass
    except grpc.aio.AioRpcError as error:
        return "stalled" if error.code() is grpc.StatusCode.ABORTED else _end_of(error)
    return "complete"


def _end_of(error: grpc.aio.AioRpcError) -> str:
    """Returns "hung" for a call that exceeded a deadline far longer than its clip, else the status name."""
    return "hung" if error.code() is grpc.StatusCode.DEADLINE_EXCEEDED else str(error.code().name)


# Each behaviour with its weight out of 100.
_PARTS: dict[_Part, int] = {
    _read_all: 45,
    _read_video: 10,
    _cancel: 20,
    _disconnect: 10,
    _run_out_of_time: 8,
    _stall: 7,
}


def _call(
    channel: grpc.aio.Channel,
    size: Geometry,
    *,
    seed: int = 0,
    timeout: float = _HANG_SECONDS,
    stall: Duration | None = None,
    has_video: bool = False,
) -> Any:
    request = generate_pb2.GenerateRequest(
        request_id=str(uuid.uuid4()),
        image=media_pb2.Image(data=_PICTURE),
        prompt=_PROMPT,
        video=generate_pb2.VideoSpec(width_px=size.width_px, height_px=size.height_px, frame_count=size.frame_count),
        sampling=generate_pb2.SamplingSpec(seed=seed),
        stream=generate_pb2.StreamSpec(
            frame_encoding=media_pb2.FRAME_ENCODING_RAW_RGB,
            max_stall_duration=stall,
            preview_every_step_count=2,
            video_container=media_pb2.VIDEO_CONTAINER_FRAGMENTED_MP4 if has_video else None,
            omit_frames=has_video,
        ),
    )
    anything: Any = channel
    return service_pb2_grpc.StillcueServiceStub(anything).Generate(request, timeout=timeout)


def _picture() -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (32, 32), "grey").save(file, "PNG")
    return file.getvalue()


_PICTURE = _picture()
