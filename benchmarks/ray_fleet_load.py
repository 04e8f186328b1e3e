"""The loads of ``benchmarks.ray_fleet``. All calls are checked: every clip has all frames, with the right pixels."""

from __future__ import annotations

import asyncio
import time
import uuid
from dataclasses import dataclass, field
from typing import Any

import grpc.aio

import stillcue
from stillcue.aio import AsyncClient
from stillcue.proxies import DIRECT
from stillcue.v1 import generate_pb2, media_pb2
from tests.ray.fleet import RayFleet, ReplicaProcess
from tests.serving import generate_request, png

# Graph calls of nine frames in four steps: match, text, picture, the steps, three of the decode.
SHORT_CLIP_CALL_COUNT = 10
SHORT_CLIP_FRAME_COUNT = 9
_GENERATE = "/stillcue.v1.StillcueService/Generate"
_OPTIONS = [*DIRECT, ("grpc.max_receive_message_length", 16 * 2**20), ("grpc.use_local_subchannel_pool", 1)]
_PATIENCE_SECONDS = 120.0


def channel_to(address: str) -> grpc.aio.Channel:
    """A connection of its own."""
    return grpc.aio.insecure_channel(address, options=_OPTIONS)


def colour(seed: int, index: int, prompt: str) -> tuple[int, int, int]:
    """The colour of a frame of the fake engine."""
    return (seed + index) % 256, index % 256, len(prompt) % 256


@dataclass
class Balance:
    """Many jobs from many callers. ``refusal_count``: calls that were refused, and not repeated."""

    seconds: float = 0.0
    refusal_count: int = 0
    wrong_count: int = 0
    waits: list[float] = field(default_factory=list)


async def balance(address: str, *, job_count: int, caller_count: int, call_seconds: float) -> Balance:
    """Runs ``job_count`` jobs; each caller has one at a time."""
    result = Balance()
    numbers = iter(range(job_count))
    prompt = f"a red fox call={call_seconds}"

    async def caller() -> None:
        async with channel_to(address) as channel:
            call: Any = channel.unary_stream(
                _GENERATE,
                request_serializer=generate_pb2.GenerateRequest.SerializeToString,
                response_deserializer=generate_pb2.GenerateResponse.FromString,
            )
            for number in numbers:
                request = generate_request(request_id=str(uuid.uuid4()), prompt=prompt)
                request.sampling.seed = number
                sent_at = time.perf_counter()
                try:
                    messages = [message async for message in call(request)]
                except grpc.aio.AioRpcError as error:
                    if error.code() not in {grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.UNAVAILABLE}:
                        raise
                    result.refusal_count += 1
                    continue
                result.waits.append(time.perf_counter() - sent_at)
                frames = [bytes(message.frame.data[:3]) for message in messages if message.HasField("frame")]
                right = [bytes(colour(number, index, prompt)) for index in range(SHORT_CLIP_FRAME_COUNT)]
                result.wrong_count += frames != right

    started_at = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for _ in range(caller_count):
            group.create_task(caller())
    result.seconds = time.perf_counter() - started_at
    return result


# Killed after frame 2, a replica has sent the frames up to 4, which one graph call decodes.
_KILL_AFTER_FRAME, _FIRST_UNSENT_FRAME = 2, 5


@dataclass
class Kills:
    """Replicas that were killed in the midst of a job.

    ``gap_seconds``: from the kill to the first frame that the killed replica had not sent; the next one begins anew.
    ``back_seconds``: from the kill until two replicas are open again.
    """

    wrong_count: int = 0
    disturbed_count: int = 0
    gap_seconds: list[float] = field(default_factory=list)
    back_seconds: list[float] = field(default_factory=list)


@dataclass
class _Clip:
    """One clip: kinds of its events, colours of its frames and when they came, by ``time.perf_counter``."""

    kinds: list[str] = field(default_factory=list)
    frames: list[tuple[int, ...]] = field(default_factory=list)
    came_at: list[float] = field(default_factory=list)
    is_resumed: bool = False


async def kills(fleet: RayFleet, *, kill_count: int, call_seconds: float) -> Kills:
    """Kills the replica of a job after its frame 2, while the other replica has a job too."""
    result = Kills()
    prompt = f"a red fox call={call_seconds}"
    async with AsyncClient(fleet.address, wait_when_busy_seconds=_PATIENCE_SECONDS) as client:
        for seed in range(kill_count):
            before = await asyncio.to_thread(_both, fleet)
            killed, other = await asyncio.gather(
                _clip(client, prompt, seed, before), _clip(client, prompt, seed + kill_count, [])
            )
            killed_at = killed.came_at[_KILL_AFTER_FRAME]
            right = [colour(seed, index, prompt) for index in range(SHORT_CLIP_FRAME_COUNT)]
            result.wrong_count += killed.frames != right or killed.kinds != other.kinds or not killed.is_resumed
            result.disturbed_count += other.is_resumed
            result.gap_seconds.append(killed.came_at[_FIRST_UNSENT_FRAME] - killed_at)
            await asyncio.to_thread(_both, fleet)
            result.back_seconds.append(time.perf_counter() - killed_at)
    return result


async def _clip(client: AsyncClient, prompt: str, seed: int, victims: list[ReplicaProcess]) -> _Clip:
    """Makes a clip; the one of ``victims`` that has the job is killed."""
    clip = _Clip()
    options: Any = {"frame_encoding": stillcue.FrameEncoding.RAW_RGB, "resume_window_seconds": 60.0}
    async with client.generate(png(), prompt, seed=seed, **options) as stream:
        async for event in stream:
            if not isinstance(event, stillcue.QueueUpdate):
                clip.kinds.append(type(event).__name__)
            if not isinstance(event, stillcue.Frame):
                continue
            clip.frames.append(tuple(bytes(event.data)[:3]))
            clip.came_at.append(time.perf_counter())
            if event.index == _KILL_AFTER_FRAME:
                key = stream._resumption.metadata[0][1]  # noqa: SLF001  no caller needs it otherwise
                for victim in victims:
                    if victim.key == key:
                        victim.kill()
        clip.is_resumed = stream._resumption._is_resumed  # noqa: SLF001
    return clip


def _both(fleet: RayFleet) -> list[ReplicaProcess]:
    """Waits until both replicas have opened their engines."""
    until = time.monotonic() + _PATIENCE_SECONDS
    while len(found := fleet.replicas()) != 2:
        if time.monotonic() > until:
            raise RuntimeError(f"{len(found)} replicas after {_PATIENCE_SECONDS:g} s")
        time.sleep(0.05)
    return found


async def clip_seconds(
    channel: grpc.aio.Channel,
    size: tuple[int, int, int],
    *,
    call_seconds: float,
    encoding: media_pb2.FrameEncoding,
) -> float:
    """The time of one clip of width, height and frames, from the request to the end of the stream."""
    request = generate_request(request_id=str(uuid.uuid4()), prompt=f"a red fox call={call_seconds}")
    request.video.width_px, request.video.height_px, request.video.frame_count = size
    request.stream.frame_encoding = encoding
    call: Any = channel.unary_stream(
        _GENERATE, request_serializer=generate_pb2.GenerateRequest.SerializeToString, response_deserializer=None
    )
    started_at = time.perf_counter()
    messages: list[bytes] = [message async for message in call(request)]
    seconds = time.perf_counter() - started_at
    if encoding == media_pb2.FRAME_ENCODING_RAW_RGB and sum(map(len, messages)) < size[0] * size[1] * 3 * size[2]:
        raise RuntimeError("frames are missing")
    return seconds
