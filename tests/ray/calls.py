"""Calls to a fleet, and what its replicas count."""

from __future__ import annotations

import asyncio
import urllib.request
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import grpc.aio
from prometheus_client.parser import text_string_to_metric_families

from tests.ray.conftest import TOKEN
from tests.serving import generate_request, stub_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from stillcue.v1 import generate_pb2, service_pb2_grpc
    from tests.ray.fleet import RayFleet, ReplicaProcess

PATIENCE_SECONDS = 60.0
METADATA = (("authorization", f"Bearer {TOKEN}"),)
FRAME_COUNT = 9
# Graph calls of a clip of nine frames in four steps.
CALLS = [
    "match", "encode_text", "encode_image", "denoise 1", "denoise 2", "denoise 3", "denoise 4",
    "decode 0", "decode 1", "decode 2",
]  # fmt: skip
# Kinds of events of such a clip before the first frame.
BEFORE_FRAMES = [
    "accepted", "stage_started", "match_report", *["stage_started"] * 3, *["denoise_progress"] * 4, "stage_started",
]  # fmt: skip


@asynccontextmanager
async def connected(fleet: RayFleet) -> AsyncIterator[service_pb2_grpc.StillcueServiceAsyncStub]:
    """A stub over a connection of its own."""
    async with grpc.aio.insecure_channel(fleet.address, options=[("grpc.use_local_subchannel_pool", 1)]) as channel:
        yield stub_of(channel)


def job(number: int, prompt: str = "a red fox turns its head", **fields: Any) -> generate_pb2.GenerateRequest:
    """A request with a request_id of its own, and its number as the seed."""
    request = generate_request(request_id=f"00000000-0000-4000-8000-{number:012}", prompt=prompt, **fields)
    request.sampling.seed = number
    return request


def colours(number: int, prompt: str, frame_count: int = FRAME_COUNT) -> list[bytes]:
    """The pixels of the frames of ``job``: one colour each."""
    return [bytes([(number + index) % 256, index % 256, len(prompt) % 256]) * (32 * 32) for index in range(frame_count)]


def frames_of(messages: list[generate_pb2.GenerateResponse]) -> list[bytes]:
    """The pixels of the frames among messages, in order."""
    return [message.frame.data for message in messages if message.HasField("frame")]


async def counted(fleet: RayFleet, name: str, **labels: str) -> float:
    """The sum of a metric over all replicas."""
    return sum([await counted_on(replica, name, **labels) for replica in fleet.replicas()])


async def reaches(fleet: RayFleet, value: float, name: str, **labels: str) -> None:
    """Waits until the sum of a metric is ``value``."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while await counted(fleet, name, **labels) != value:
            await asyncio.sleep(0.02)


async def counted_on(replica: ReplicaProcess, name: str, **labels: str) -> float:
    """The sum of a metric of one replica."""

    def get() -> str:
        with urllib.request.urlopen(f"http://{replica.metrics_address}/metrics") as response:
            return str(response.read().decode())

    return sum(
        sample.value
        for family in text_string_to_metric_families(await asyncio.to_thread(get))
        for sample in family.samples
        if sample.name == name and labels.items() <= sample.labels.items()
    )
